"""docker-compose.yml as far as it can be checked without Docker."""

import re
from typing import Any

import pytest
import yaml

from orchestration.lib.settings import project_dir

TEXT = (project_dir() / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# ${NAME}, ${NAME:-default} and ${NAME:?message}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def documented_variables() -> set[str]:
    example = (project_dir() / ".env.example").read_text()
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", example, flags=re.MULTILINE))


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.search(r"\d+\.\d+", tag), f"{SERVICES[name]['image']} floats"
    assert "latest" not in tag


def test_base_image_is_pinned() -> None:
    images = re.findall(r"^FROM (\S+)", (project_dir() / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert images
    assert [image for image in images if not re.search(r":\d+\.\d+\.\d+-", image)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_a_healthcheck_unless_it_runs_once(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if SERVICES[name]["restart"] == "no":
        assert check == {"disable": True}
    else:
        assert check["test"][0] == "CMD"
        assert {"interval", "timeout", "retries"} <= check.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_service_waits_for_healthy_ones(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        ends = SERVICES[other]["restart"] == "no"
        assert wait == {"condition": "service_completed_successfully" if ends else "service_healthy"}


@pytest.mark.parametrize("name", SERVICES)
def test_logs_are_bounded(name: str) -> None:
    assert SERVICES[name]["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}


def test_dagster_and_applications_find_a_built_warehouse() -> None:
    """Directly or through others, all that doesn't make the warehouse waits until it's made."""

    def waits_for(name: str) -> set[str]:
        others = set(SERVICES[name].get("depends_on", {}))
        return others.union(*map(waits_for, others))

    for name in ("dagster-webserver", "dagster-daemon", "pgbouncer"):
        assert "build" in waits_for(name)
    assert "applications" in waits_for("pgbouncer")
    assert SERVICES["pgbouncer"]["environment"]["DB_USER"] == "applications"


@pytest.mark.parametrize("name", SERVICES)
def test_a_profile_that_is_off_asks_for_no_variable_of_its_own(name: str) -> None:
    """Compose fills in the variables of every service, also of those it doesn't start."""

    def asked(service: dict[str, Any]) -> set[str]:
        return set(re.findall(r"\$\{(\w+):?\?", yaml.safe_dump(service)))

    always = set().union(*(asked(service) for service in SERVICES.values() if "profiles" not in service))
    if "profiles" in SERVICES[name]:
        assert asked(SERVICES[name]) <= always


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_host_only(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", []) if not str(port).startswith("127.0.0.1:")] == []


def test_what_is_ours_runs_with_no_right_of_root_and_keeps_what_it_writes() -> None:
    ours = {name: service for name, service in SERVICES.items() if "build" in service}
    for name, service in ours.items():
        assert (service["init"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    # backups, reports, pages and the key of the trail
    writers = {"backup", "drill", "demo", "dagster-webserver", "dagster-daemon"}
    home = "governance-home:/srv/governance/.governance"
    assert {name for name, service in ours.items() if home in service.get("volumes", [])} == writers


def test_only_what_makes_roles_and_what_restores_is_the_superuser() -> None:
    password = "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD in .env}"
    superusers = {name for name, service in SERVICES.items() if password in service.get("environment", {}).values()}
    assert superusers == {"timescaledb", "roles", "logins", "applications", "drill"}


def test_documents_name_services_that_there_are() -> None:
    pages = [*(project_dir() / "docs").glob("*.md"), project_dir() / "README.md", project_dir() / "docker-compose.yml"]
    named = {
        name
        for page in pages
        for name in re.findall(r"docker compose (?:--profile \w+ )?(?:run --rm|logs) ([\w-]+)", page.read_text())
    }
    assert len(named) > 4
    assert named <= SERVICES.keys()


def test_no_secret_has_a_default() -> None:
    secrets = [
        match
        for match in VARIABLE.finditer(TEXT)
        if re.search("(PASSWORD|SECRET|TOKEN|KEY)(?!S_SCHEDULE)", match["name"])
    ]
    assert len(secrets) > 4
    # an empty one is refused by pgAdmin itself, and by the entrypoint of Grafana; the last is the name of a file
    optional = {"PGADMIN_PASSWORD", "GRAFANA_PASSWORD", "GOVERNANCE_AUDIT_KEY"}
    assert [m[0] for m in secrets if m["name"] not in optional and (m["kind"] != "?" or not m["rest"])] == []
    assert [m[0] for m in secrets if m["name"] in optional and m["rest"]] == []
    # nor is one written down, or part of a URL
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("(PASSWORD|SECRET|TOKEN)(?!S_SCHEDULE)", key):
                assert VARIABLE.fullmatch(value), key
    assert re.findall(r"://[^/@\s]*:[^/@\s]*@", TEXT) == []


def test_env_example_documents_what_compose_reads_and_gives_no_secret() -> None:
    used = {match["name"] for match in VARIABLE.finditer(TEXT)}
    assert used - documented_variables() == set()
    example = (project_dir() / ".env.example").read_text()
    assert re.findall(r"^\w*(?:PASSWORD|SECRET|TOKEN)\w*=.+", example, flags=re.MULTILINE) == []


def test_dagster_gets_what_its_jobs_read() -> None:
    """Else a schedule would do without a word what the variable says otherwise: a backup that anybody can read."""
    example = (project_dir() / ".env.example").read_text()
    _, section = re.split("^# --- Dagster: ", example, flags=re.MULTILINE)
    said = set(re.findall(r"^#?(GOVERNANCE_\w+)=", section.partition("\n# --- ")[0], flags=re.MULTILINE))
    jobs = (path.read_text() for path in (project_dir() / "orchestration" / "defs").rglob("*.py"))
    read = {f"GOVERNANCE_{name.upper()}" for text in jobs for name in re.findall(r"settings\(\)\.([a-z_]+)", text)}
    assert {"GOVERNANCE_BACKUP_RECIPIENTS", "GOVERNANCE_BACKUP_KEEP"} <= read
    for name in ("dagster-webserver", "dagster-daemon"):
        assert said | read - {"GOVERNANCE_SCHEDULES"} <= SERVICES[name]["environment"].keys()


def test_env_example_documents_what_the_command_and_dbt_read() -> None:
    sources = [*(project_dir() / "orchestration").rglob("*.py"), project_dir() / "profiles.yml"]
    reads = re.compile(r"""(?:environ(?:\.get)?[\[(]|getenv\(|env_var\(|envvar=)\s*["'](GOVERNANCE_[A-Z_]+)["']""")
    used = {name for path in sources for name in reads.findall(path.read_text())}
    assert len(used) > 5
    assert used - documented_variables() == set()


def test_profile_has_the_target_that_compose_uses() -> None:
    target = SERVICES["dagster-webserver"]["environment"]["GOVERNANCE_TARGET"]
    profiles = yaml.safe_load((project_dir() / "profiles.yml").read_text())
    assert target in profiles["governance"]["outputs"]


def test_secrets_and_local_databases_stay_out_of_the_image() -> None:
    ignored = set((project_dir() / ".dockerignore").read_text().split())
    assert {".env", ".git", ".governance", ".venv"} <= ignored
