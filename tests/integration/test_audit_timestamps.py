"""Checkpoints are stamped by an authority, here openssl, and what it says is believed only if it is about them."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from core_rows import add

from orchestration.lib.audit import sign
from orchestration.lib.audit.seal import seal
from orchestration.lib.audit.timestamp import stamper
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import Settings

pytestmark = pytest.mark.engines("postgres")

CONFIGURATION = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
"""
EXTENSIONS = "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n"


def openssl(*arguments: object, folder: Path) -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Authority:
    """It answers by openssl; a test may put another answer in its place."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.answer = folder, b""
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(CONFIGURATION.format(folder=folder))
        (folder / "extensions").write_text(EXTENSIONS)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        root = ("-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-days", "2")
        openssl("req", "-x509", *curve, *root, folder=folder)
        openssl("req", *curve, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=tsa", folder=folder)
        issued = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
        openssl("x509", "-req", "-in", "tsa.csr", "-out", "tsa.pem", *issued, folder=folder)

    def stamped(self, request: bytes) -> bytes:
        (self.folder / "request").write_bytes(request)
        configured = ("-config", "tsa.cnf", "-section", "it", "-out", "reply")
        openssl("ts", "-reply", "-queryfile", "request", *configured, folder=self.folder)
        return self.answer or (self.folder / "reply").read_bytes()


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[tuple[Authority, Settings]]:
    folder = tmp_path / "authority"
    folder.mkdir()
    authority = Authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = authority.stamped(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *arguments: object) -> None:
            """Nothing of it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield authority, Settings(audit_timestamp_url=url, audit_timestamp_roots=folder / "root.pem")
    server.shutdown()
    server.server_close()


def test_a_checkpoint_is_stamped_in_each_anchor(
    database: str, authority: tuple[Authority, Settings], tmp_path: Path
) -> None:
    key, anchors = tmp_path / "key", [tmp_path / "here", tmp_path / "there"]
    sign.create_key(key, "test")
    seal(database)
    # signed before there was an authority, stamped by the next call, and not again by the one after
    (first, _) = sign.sign(database, key, anchors).kept_in
    for _ in range(2):
        signed = sign.sign(database, key, anchors, stamp=stamper(authority[1]))
        authority[0].answer = b"nobody asks for it"
    assert [path.name for path in signed.kept_in] == [first.name] * 2
    for path in signed.kept_in:
        checked = ("-verify", "-data", path, "-in", f"{path}.tsr", "-CAfile", authority[0].folder / "root.pem")
        openssl("ts", *checked, folder=tmp_path)
    # the stamp of another checkpoint is none of this one
    authority[0].answer = Path(f"{first}.tsr").read_bytes()
    with connect(database) as connection:
        add(connection, "users", email="next@example.com", display_name="Next", status="active")
    seal(database)
    with pytest.raises(GovernanceError, match="is no stamp of this checkpoint"):
        sign.sign(database, key, anchors, stamp=stamper(authority[1]))
    # it is signed and kept all the same, and stamped by the next call
    authority[0].answer = b""
    signed = sign.sign(database, key, anchors, stamp=stamper(authority[1]))
    assert not signed.is_new
    assert all(Path(f"{path}.tsr").exists() for path in signed.kept_in)


def test_what_is_no_stamp_is_refused_in_a_sentence(authority: tuple[Authority, Settings], tmp_path: Path) -> None:
    of, settings = authority
    stamp = stamper(settings)
    assert stamp is not None
    of.answer = b"<html>no authority</html>"
    with pytest.raises(GovernanceError, match="is no stamp of this checkpoint"):
        stamp(b"content")
    of.answer = b""
    other = tmp_path / "other"
    other.mkdir()
    Authority(other)
    roots = {
        other / "root.pem": "is no stamp of this checkpoint",
        tmp_path / "absent": "has no certificate that can be read",
        other / "serial": "has no certificate that can be read",
    }
    for path, message in roots.items():
        wrong = stamper(Settings(audit_timestamp_url=settings.audit_timestamp_url, audit_timestamp_roots=path))
        assert wrong is not None
        with pytest.raises(GovernanceError, match=message):
            wrong(b"content")
    for url, message in (("http://127.0.0.1:9", "can't be asked"), ("file:///etc/passwd", "is no authority's address")):
        wrong = stamper(Settings(audit_timestamp_url=url, audit_timestamp_roots=of.folder / "root.pem"))
        assert wrong is not None
        with pytest.raises(GovernanceError, match=message):
            wrong(b"content")
    with pytest.raises(GovernanceError, match="whose stamps count"):
        stamper(Settings(audit_timestamp_url="http://127.0.0.1:9"))
    assert stamper(Settings()) is None
