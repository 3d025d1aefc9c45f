"""Writes docs/schema.md from the catalog of a fresh build: `python -m orchestration.lib.warehouse.schema_docs`."""

import shutil
import sys
import tempfile
from pathlib import Path

from psycopg.rows import TupleRow

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.in_use import start
from orchestration.lib.dbt.environment import environment
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.embedded.server import EmbeddedServer
from orchestration.lib.errors import GovernanceError
from orchestration.lib.settings import project_dir

PREAMBLE = """\
# Schema

<!-- Generated from the catalog of a built database by `make generate`; edit the YAML and the macros instead. -->

Fifteen core tables, eight rollups, seven reporting views. Times are `timestamptz`, money is `numeric`, ids are `uuid`.
The columns of `llm_metrics` that name people, teams and keys have no foreign keys: they say who it was at the time of
the request, and outlive the rows they name.
"""


def schema_page(connection: Connection) -> str:
    """The page as Markdown, the same for every database of this release on one engine."""
    parts = [PREAMBLE, "## Core tables at a glance\n", entity_diagram(connection)]
    for domain in sorted(folder for folder in (project_dir() / "models" / "core").iterdir() if folder.is_dir()):
        parts.append(f"## {domain.name.capitalize()}\n")
        parts += [table_section(connection, "core", model.stem) for model in sorted(domain.glob("*.sql"))]
    for schema, title in (("rollups", "Rollups"), ("reporting", "Reporting views")):
        parts.append(f"## {title}\n")
        models = sorted((project_dir() / "models" / schema).glob("*.sql"))
        parts += [table_section(connection, schema, model.stem) for model in models]
    parts += ["## Functions\n", function_table(connection)]
    return "\n".join(parts).rstrip() + "\n"


def entity_diagram(connection: Connection) -> str:
    """Mermaid diagram of the tables of `core` and their foreign keys."""
    tables = connection.execute(
        "select relname from pg_class where relnamespace = 'core'::regnamespace and relkind in ('r', 'p')"
        " and not relispartition order by relname"
    ).fetchall()
    keys = connection.execute(
        """
        select c.confrelid::regclass::text, c.conrelid::regclass::text, a.attname, a.attnotnull
        from pg_constraint as c
        inner join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        where c.contype = 'f' and c.connamespace = 'core'::regnamespace and c.conparentid = 0
        order by 1, 2, 3
        """
    ).fetchall()
    lines = ["```mermaid", "erDiagram"]
    lines += [f"    {table}" for (table,) in tables]
    lines += [
        f"    {_bare(parent)} {'||' if required else '|o'}--o{{ {_bare(child)} : {column}"
        for parent, child, column, required in keys
    ]
    return "\n".join([*lines, "```", ""])


def table_section(connection: Connection, schema: str, name: str) -> str:
    """One table or view: purpose, columns, and for tables constraints, indexes with their purpose, and triggers."""
    relation = f"{schema}.{name}"
    [(purpose,)] = connection.execute("select obj_description(%s::regclass, 'pg_class')", [relation])
    lines = [f"### {name}\n", f"{purpose}\n", "| column | type | null | meaning |", "|---|---|---|---|"]
    lines += [f"| `{c}` | {t} | {n} | {_cell(d)} |" for c, t, n, d in _columns(connection, relation)]
    for title, rows in (
        ("Constraints", _constraints(connection, relation)),
        ("Indexes", _indexes(connection, relation)),
        ("Triggers", _triggers(connection, relation)),
    ):
        items = [f"- `{row[0]}`: {_text(row[1])}" for row in rows]
        if items:
            lines += ["", f"{title}:", "", *items]
    return "\n".join(lines) + "\n"


def function_table(connection: Connection) -> str:
    """The functions of `core` and `internal` with their purpose."""
    rows = connection.execute(
        """
        select p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc')
        from pg_proc as p
        where p.pronamespace::regnamespace::text in ('core', 'internal')
        order by p.pronamespace::regnamespace::text, 1
        """
    ).fetchall()
    lines = ["| function | purpose |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {_cell(purpose)} |" for name, purpose in rows)]) + "\n"


def _columns(connection: Connection, relation: str) -> list[TupleRow]:
    return connection.execute(
        """
        select
            attname,
            replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz'),
            case when attnotnull then 'no' else 'yes' end,
            col_description(attrelid, attnum)
        from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and not attisdropped
        order by attnum
        """,
        [relation],
    ).fetchall()


def _constraints(connection: Connection, relation: str) -> list[TupleRow]:
    return connection.execute(
        "select conname, '`' || pg_get_constraintdef(oid) || '`' from pg_constraint"
        " where conrelid = %s::regclass and contype <> 'n' order by contype <> 'p', contype, conname",
        [relation],
    ).fetchall()


def _indexes(connection: Connection, relation: str) -> list[TupleRow]:
    return connection.execute(
        """
        select
            c.relname,
            coalesce(
                obj_description(c.oid, 'pg_class'),
                case
                    when i.indisprimary then 'Primary key.'
                    when k.oid is not null then 'Serves the constraint of that name.'
                end
            )
            || ' `'
            || regexp_replace(pg_get_indexdef(c.oid), '^CREATE (UNIQUE )?INDEX \\S+ ON (ONLY )?\\S+ ', '\\1')
            || '`'
        from pg_index as i
        inner join pg_class as c on c.oid = i.indexrelid
        left join pg_constraint as k on k.conindid = c.oid and k.contype in ('p', 'u', 'x')
        where i.indrelid = %s::regclass
        order by not i.indisprimary, c.relname
        """,
        [relation],
    ).fetchall()


def _triggers(connection: Connection, relation: str) -> list[TupleRow]:
    return connection.execute(
        """
        select t.tgname, coalesce(obj_description(t.oid, 'pg_trigger'), obj_description(t.tgfoid, 'pg_proc'))
        from pg_trigger as t
        where t.tgrelid = %s::regclass and not t.tgisinternal
        order by t.tgname
        """,
        [relation],
    ).fetchall()


def _bare(name: str) -> str:
    return name.removeprefix("core.")


def _text(value: str | None) -> str:
    return " ".join((value or "").split())


def _cell(value: str | None) -> str:
    return _text(value).replace("|", "\\|")


def main() -> None:
    """Build a database on a server of its own, for an older one has another order of columns, and write its page."""
    home = Path(tempfile.mkdtemp(prefix="governance-schema-"))
    # as root the server is run by another user
    home.chmod(0o711)
    server = EmbeddedServer(home, durable=False)
    try:
        url = start(server)
        folder = str(home / "dbt")
        with environment({"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}):
            run_dbt(["build", "--resource-type", "model", "seed"], url, quiet=True)
        with connect(url) as connection:
            page = schema_page(connection)
    except GovernanceError as error:
        sys.exit(f"error: {error}")
    finally:
        server.destroy()
        shutil.rmtree(home)
    path: Path = project_dir() / "docs" / "schema.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
