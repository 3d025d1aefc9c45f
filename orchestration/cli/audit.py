"""The commands about the audit trail: seal it, sign it, export it, verify it."""

import sys
from pathlib import Path

import click

from orchestration.cli.groups import Group
from orchestration.cli.terminal import confirm, tell, visible
from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import settings
from orchestration.lib.words import counted

_KEY = click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    help="File of the private key; $GOVERNANCE_AUDIT_KEY, unless given.",
)
_PUBLIC_KEYS = click.option(
    "--public-key",
    "public_keys",
    multiple=True,
    metavar="KEY",
    help="Public key of who signs; may be repeated. Those of --key, unless given.",
)
_ANCHORS = click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps the checkpoints; may be repeated. The folders of $GOVERNANCE_AUDIT_ANCHORS, unless given.",
)


@click.group(cls=Group)
def audit() -> None:
    """Seal, sign, export and verify the audit trail, so that nobody can change it unseen."""


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", default="llm-governance", show_default=True, help="Goes into each signature; no blanks.")
@click.option(
    "--succeeds",
    metavar="KEY",
    help="File of the key before it, or its public half where the file is lost: what it signed still verifies.",
)
def key(file: Path, name: str, succeeds: str | None) -> None:
    """Make the private key that signs, in FILE, and print the public one.

    Keep the file where the owner of the database can't read it, and give the public key to those who verify. A key that
    takes the place of another one names it by --succeeds.

    \b
    governance audit key audit-key.pem
    governance audit key new-key.pem --succeeds audit-key.pem
    """
    from orchestration.lib.audit.sign import create_key

    click.echo(create_key(file, name, succeeds=succeeds))
    tell(f"the private key is in {visible(str(file))}: who has it can sign another trail")


@audit.command()
@click.option("--watch", type=click.FloatRange(0.1), metavar="SECONDS", help="Go on, so many seconds apart.")
def seal(watch: float | None) -> None:
    """Seal every entry whose transaction has ended."""
    from orchestration.lib.audit import seal as sealing

    if watch is None:
        click.echo(f"{counted(sealing.seal(database_url()), 'entry', 'entries')} sealed")
        return
    for sealed in sealing.watch(database_url(), seconds=watch):
        if sealed:
            click.echo(f"{counted(sealed, 'entry', 'entries')} sealed")
            sys.stdout.flush()


@audit.command()
@_KEY
@_ANCHORS
@click.option(
    "--after-recovery", is_flag=True, help="The trail was recovered since: its recovery names the last checkpoint."
)
@click.option("--after-pruning", is_flag=True, help="Entries were pruned since, and you know of it.")
def sign(key_file: Path | None, anchors: tuple[Path, ...], after_recovery: bool, after_pruning: bool) -> None:
    """Sign how far the trail is sealed and keep that checkpoint in each anchor; prints the files.

    Seals first what is not sealed yet, where the role may. A trail that does not continue the last checkpoint is
    refused. Where GOVERNANCE_AUDIT_TIMESTAMP_URL names an authority (RFC 3161), it stamps the checkpoint too.

    \b
    governance audit sign --key audit-key.pem --anchor /mnt/worm/audit --anchor /srv/audit-team/checkpoints
    """
    from orchestration.lib.audit.sign import sign as sign_now
    from orchestration.lib.audit.timestamp import stamper

    url, folders = database_url(), _anchors(anchors)
    _seal_first(url)
    signed = sign_now(
        url,
        _key_file(key_file),
        folders,
        accepts_recovery=after_recovery,
        accepts_pruning=after_pruning,
        stamp=stamper(settings()),
    )
    size = signed.checkpoint.size
    already = "was signed already" if size == 1 else "were signed already"
    tell(f"{counted(size, 'seal')} {'signed' if signed.is_new else already}")
    for note in signed.recoveries:
        tell(f"with a recovery, of whose trail {counted(signed.continues, 'seal')} had been signed: {visible(note)}")
    if len(folders) == 1:
        tell("note: one anchor only; with a second one that somebody else keeps, no single person can take both back")
    for path in signed.kept_in:
        click.echo(path)


@audit.command()
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="A folder that isn't there yet."
)
def export(output: Path) -> None:
    """Write the trail, its seals and the program that verifies them into a folder; prints it.

    Seals first what is not sealed yet, where the role may. python3 FOLDER/verify.py needs neither the database nor this
    project.

    \b
    governance audit export --output trail
    """
    from orchestration.lib.audit.export import export as export_now

    url = database_url()
    _seal_first(url)
    click.echo(export_now(url, output))


@audit.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@_PUBLIC_KEYS
@_KEY
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A checkpoint or a folder of them; may be repeated. The folders of $GOVERNANCE_AUDIT_ANCHORS, unless given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def verify(
    folder: Path | None,
    public_keys: tuple[str, ...],
    key_file: Path | None,
    checkpoints: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Verify the trail in the database, or an export of it in FOLDER.

    The first word is the verdict, with an exit code of its own: OK 0, COULD_NOT_VERIFY 1, MODIFIED 10, MISSING 11,
    EXTRA 12, SEAL_BROKEN 13, TAIL_TRUNCATED 14, REWRITTEN 15, UNSEALED 16.

    \b
    governance audit verify
    governance audit verify trail --public-key 'llm-governance+…' --checkpoint 000000000037-5c0e.checkpoint
    """
    from orchestration.lib.audit import export, sign, verify_offline

    if not public_keys:
        public_keys = tuple(map(str, sign.public_keys(_key_file(key_file))))
    if folder is not None:
        arguments = [str(folder), *(["--json"] if as_json else [])]
        for public in public_keys:
            arguments += ["--key", public]
        for path in checkpoints or _anchors(()):
            arguments += ["--checkpoint", str(path)]
        sys.exit(verify_offline.main(arguments))
    try:
        keys = [verify_offline.PublicKey.parsed(text) for text in public_keys]
        report = export.verified(database_url(), checkpoints or _anchors(()), keys)
    except verify_offline.NotVerifiableError as error:
        raise GovernanceError(f"COULD_NOT_VERIFY: {error}") from error
    click.echo(verify_offline.as_json(report) if as_json else visible(verify_offline.as_text(report)))
    sys.exit(report.verdict)


@audit.command()
def status() -> None:
    """Show how far the trail is sealed and signed, and the public keys of who signs."""
    from orchestration.lib.audit import sign
    from orchestration.lib.audit.seal import status as status_now

    key_file = settings().audit_key
    keys = sign.public_keys(key_file) if key_file is not None else []
    # before the seals, which grow
    last = next(iter(sign.last_checkpoints(keys, settings().audit_anchors, key_file)), None) if keys else None
    found = status_now(database_url())
    unsealed = found.entries - found.sealed_entries
    click.echo(f"epoch      {found.epoch}")
    click.echo(f"entries    {found.entries:,}")
    click.echo(
        f"seals      {found.seals:,}"
        + (f", the last of {found.last_sealed_at:%Y-%m-%d %H:%M:%S %Z}" if found.seals else "")
    )
    since = f", the oldest of {found.unsealed_since:%Y-%m-%d %H:%M:%S %Z}" if found.unsealed_since else ""
    click.echo(f"not sealed {unsealed:,}{since}")
    if not keys:
        click.echo("signed     nothing: GOVERNANCE_AUDIT_KEY names no key")
        return
    click.echo(f"signed     {counted(last.size if last else 0, 'seal')}")
    for number, public in enumerate(keys):
        click.echo(f"{'before it ' if number else 'public key'} {public}")


@audit.command()
@click.option("--reason", required=True, help="Such as the backup that was restored; kept in the trail.")
@_PUBLIC_KEYS
@_KEY
@_ANCHORS
@click.option("--yes", is_flag=True, help="Don't ask.")
def recover(
    reason: str, public_keys: tuple[str, ...], key_file: Path | None, anchors: tuple[Path, ...], yes: bool
) -> None:
    """Begin a new epoch of the trail after a restore or a move to another server.

    Transaction ids start anew there. The seal of the recovery names the last checkpoint of the anchors, and so what a
    backup did not hold any more. Where no key is named there is none to name.

    \b
    governance audit recover --reason 'restored the backup of 2026-11-27 after a disk failure'
    """
    from orchestration.lib.audit import seal, sign
    from orchestration.lib.audit.recover import note_of, whole_until
    from orchestration.lib.audit.verify_offline import NotVerifiableError, PublicKey

    is_signed = bool(key_file or public_keys or anchors or settings().audit_key)
    key_file = _key_file(key_file) if is_signed and (key_file or not public_keys) else None
    given_up, whole = [], None
    try:
        if is_signed:
            keys = [PublicKey.parsed(text) for text in public_keys] or sign.public_keys(_key_file(key_file))
            given_up = sign.last_checkpoints(keys, _anchors(anchors), key_file)
            whole = whole_until(database_url(), _anchors(anchors), keys)
    except NotVerifiableError as error:
        raise GovernanceError(f"the last checkpoint can't be read: {error}") from error
    if is_signed and not given_up:
        raise GovernanceError("the anchors hold no checkpoint, so nothing was signed that a recovery could name")
    found = seal.status(database_url())
    tell(
        f"the last checkpoint signs {given_up[0].size:,} seals, and there are {found.seals:,}, "
        f"the first {whole:,} of them as they were signed"
        if given_up
        else f"no key is named, so the recovery of {counted(found.seals, 'seal')} names no checkpoint"
    )
    confirm("Begin a new epoch?", yes=yes)
    epoch = seal.begin_epoch(database_url(), reason=note_of(reason, given_up, whole=whole))
    click.echo(f"epoch {epoch} began")
    if is_signed:
        tell("sign it with `governance audit sign --after-recovery`")


@audit.command()
@click.option("--before", required=True, metavar="MONTH", help="The first month that stays, such as 2024-01, in UTC.")
@click.option("--reason", required=True, help="Such as the retention that was agreed; kept in the trail.")
@_KEY
@_ANCHORS
@click.option("--yes", is_flag=True, help="Don't ask.")
def prune(before: str, reason: str, key_file: Path | None, anchors: tuple[Path, ...], yes: bool) -> None:
    """Delete the entries of whole months, say so in the trail, and sign it.

    The trail is verified first, and nothing is deleted where that finds anything. The seals stay, with the hash of
    each entry: an export from before can still be verified. Export first what must be kept.

    \b
    governance audit prune --before 2024-01 --reason 'kept for three years, as agreed'
    """
    from datetime import UTC, datetime

    from orchestration.lib.audit.prune import prune as prune_now
    from orchestration.lib.compliance.period import parsed_month

    first_kept = parsed_month(before, "UTC", datetime.now(UTC).date())
    if first_kept.start > datetime.now(UTC):
        raise GovernanceError(f"{first_kept.name} is still to come: name a month that has begun")
    folders, file = _anchors(anchors), _key_file(key_file)
    confirm(f"Delete every entry from before {first_kept.name} for good?", yes=yes, otherwise="nothing is deleted")
    done = prune_now(database_url(), first_kept.start, reason, file, folders)
    none = f"no sealed entry is from before {first_kept.name}"
    click.echo(f"{counted(done.entries, 'entry', 'entries')} deleted" if done.entries else none)
    for path in done.kept_in:
        click.echo(path)


def _seal_first(url: str) -> None:
    from orchestration.lib.audit.seal import seal_if_allowed

    if not seal_if_allowed(url):
        tell("note: this role may not seal, so what was recorded since the last seal has none")


def _key_file(given: Path | None) -> Path:
    found = given or settings().audit_key
    if found is None:
        raise GovernanceError(
            "which key? Name its file by --key or GOVERNANCE_AUDIT_KEY; `governance audit key FILE` makes one"
        )
    return found


def _anchors(given: tuple[Path, ...]) -> tuple[Path, ...]:
    found = given or settings().audit_anchors
    if not found:
        raise GovernanceError(
            "where are the checkpoints kept? Name a folder by --anchor (of verify: --checkpoint) or "
            "GOVERNANCE_AUDIT_ANCHORS"
        )
    return found
