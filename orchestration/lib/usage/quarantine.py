"""The statements that put refused records into quarantine, and take out again what is loaded after all."""
# ruff: noqa: S608 - statements are built of this module's own words, names of targets and quoted values

from collections.abc import Sequence

from orchestration.lib.usage.reading import quoted
from orchestration.lib.usage.record import kept_text


def quarantining(source: str, targets: Sequence[str], lines: str) -> str:
    """Puts the lines that have reasons against them into quarantine; one that is there stays an earlier load's."""
    return f"""
    insert into internal.quarantine as q (source, line, reasons, row_data, row_hash)
    select {quoted(source)}, line, reasons, row_data, sha256(convert_to(row_data::text, 'UTF8'))
    from (
        select r.line, r.reasons, {_row_data(targets)} as row_data
        from ingest_rows as r
        inner join ingest_lines as l using (line)
        where r.reasons is not null and r.{lines}
    ) as refused
    on conflict (source, line, row_hash) do update
    set reasons = excluded.reasons, quarantined_at = excluded.quarantined_at
    where q.reasons is distinct from excluded.reasons
    """


def release(source: str, targets: Sequence[str], lines: str) -> str:
    """Takes out of quarantine what is loaded now: it was refused for its time, or by a constraint since dropped."""
    return f"""
    delete from internal.quarantine
    where id in (
        select id
        from (
            select q.id, q.row_hash, {_row_data(targets)} as row_data
            from internal.quarantine as q
            inner join ingest_rows as r using (line)
            inner join ingest_lines as l using (line)
            where q.source = {quoted(source)} and q.{lines} and r.reasons is null
            -- the hash is taken of these rows only
            offset 0
        ) as again
        where row_hash = sha256(convert_to(row_data::text, 'UTF8'))
    )
    """


def _row_data(targets: Sequence[str]) -> str:
    texts = ", ".join(f"'{name}', {kept_text(name, f'l.{name}')}" for name in targets)
    return f"case when l.raw is null then jsonb_strip_nulls(jsonb_build_object({texts})) else to_jsonb(l.raw) end"
