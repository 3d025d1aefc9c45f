"""The variables with which dbt uses this project on a database, for this process or for another."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from orchestration.lib.database.connection import parameters, session_options, with_defaults, without_password
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import dbt_target, project_dir, settings

# of a statement of dbt: one that hangs doesn't hold its locks for ever
STATEMENT_TIMEOUT = "1h"


def dbt_environment(url: str, application: str = "governance dbt", *, unit_tests: bool = True) -> dict[str, str]:
    """Environment with which dbt, started anywhere, uses this project on the database of the URL.

    `application` is the name of its sessions, whose statements may take STATEMENT_TIMEOUT unless PGOPTIONS or the URL's
    options say otherwise. Parameters of the URL that have no variable in profiles.yml, such as sslrootcert, go into
    libpq's own variables. `unit_tests` are those of dbt, which read rows of their own and nothing of the database.
    """
    given = with_defaults(parameters(url))
    if not given.get("host") or "," in given["host"]:
        raise GovernanceError(
            f"dbt needs exactly one host, {without_password(url)} names {given.get('host') or 'none'}"
        )
    if problem := _problem_with(given["dbname"]):
        raise GovernanceError(
            f"dbt can't work in a database whose name holds {problem}: rename {given['dbname']!r} or take another one"
        )
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    values = {name: given.get(name, "") for name in names}
    environment = {f"GOVERNANCE_DB_{suffix}": values[name] for name, suffix in names.items()}
    environment["GOVERNANCE_DB_SSLMODE"] = given.get("sslmode") or os.environ.get("PGSSLMODE", "prefer")
    environment["GOVERNANCE_DB_APPLICATION_NAME"] = application
    environment["GOVERNANCE_TARGET"] = settings().target or ("prod" if settings().database_url else "embedded")
    environment["DBT_PROFILES_DIR"] = environment["DBT_PROJECT_DIR"] = str(project_dir())
    target = dbt_target()
    if not target.is_relative_to(project_dir()):
        environment["DBT_TARGET_PATH"] = str(target)
        environment["DBT_LOG_PATH"] = str(settings().dbt_log_path or target)
    others = given.keys() - names.keys() - {"sslmode"}
    if others:
        from psycopg.pq import Conninfo

        for option in Conninfo.get_defaults():
            if option.envvar and option.keyword.decode() in others:
                environment[option.envvar.decode()] = given[option.keyword.decode()]
    # they run nothing, and dbt 1.11 stumbles over them where a hook refuses to begin, instead of showing what it said
    excluded = "exposure" if unit_tests else "exposure unit_test"
    environment["DBT_EXCLUDE_RESOURCE_TYPES"] = os.environ.get("DBT_EXCLUDE_RESOURCE_TYPES", excluded)
    # what it knows of the other schemas, it would ask for at each start
    environment["DBT_CACHE_SELECTED_ONLY"] = os.environ.get("DBT_CACHE_SELECTED_ONLY", "true")
    options = environment.get("PGOPTIONS") or os.environ.get("PGOPTIONS", "")
    if "statement_timeout" not in options:
        options = f"{options} -c statement_timeout={STATEMENT_TIMEOUT}".strip()
    environment["PGOPTIONS"] = session_options(options)
    return environment


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables, for as long as dbt runs: others in this process read some of them too."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _problem_with(name: str) -> str | None:
    """What in a database's name breaks the SQL of dbt, which writes it as it is; None where nothing does."""
    for character, called in {'"': "a double quote", "'": "a quote"}.items():
        if character in name:
            return called
    return None if name == name.strip() and name.isprintable() else "space at its ends or an unprintable character"
