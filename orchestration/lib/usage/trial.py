"""A load that is only tried: everything is read and judged as in a load, and goes to temporary tables."""
# ruff: noqa: S608 - statements are built of this module's own words and quoted names

import json
from dataclasses import dataclass, field
from datetime import datetime

from orchestration.lib.usage.costing import COMPUTED
from orchestration.lib.usage.merge import IngestReport, UsageMerger, explained
from orchestration.lib.usage.reading import listed, quoted
from orchestration.lib.usage.record import TARGETS

_ROWS = 5


@dataclass
class Trial:
    """What a load of one source would do; `rows` are the first that would be loaded, `refused` the first that wouldn't.

    `origins` has the column that fills a target, `constants` the value that does.
    """

    source: str
    origins: dict[str, str]
    constants: dict[str, str]
    rows: list[dict[str, str]] = field(default_factory=list)
    refused: list[tuple[int, list[str]]] = field(default_factory=list)


class TrialMerger(UsageMerger):
    """Merges into a temporary copy of core.llm_metrics with its constraints, and writes nothing else.

    Triggers of your own on the table aren't tried.
    """

    _into = "pg_temp.ingest_trial"
    _is_noted = False

    def begin(self, trial: Trial) -> None:
        """To be called first; what would happen is added to `trial`."""
        self._trial = trial
        # what is in quarantine stays there
        self._has_quarantine = False
        with explained():
            self._execute("drop table if exists pg_temp.ingest_trial, pg_temp.ingest_there")
            self._execute(
                "create temporary table ingest_trial"
                " (like core.llm_metrics including defaults including constraints including generated,"
                " unique (request_id, time))"
            )
            self._execute("create temporary table ingest_there (request_id text, time timestamptz)")

    def end(self, report: IngestReport) -> None:
        """To be called when all is merged: counts what is stored already as duplicate, and looks at the first rows."""
        with explained():
            self._execute(
                "delete from pg_temp.ingest_trial as t using ingest_there as s"
                " where s.request_id = t.request_id and s.time = t.time"
            )
            # rows without a request_id, whose names are known only when they are inserted
            stored = self._execute(
                """
                delete from pg_temp.ingest_trial as t
                using core.llm_metrics as m
                where m.request_id = t.request_id and m.time = t.time
                    and m.time >= (select min(time) from pg_temp.ingest_trial)
                    and m.time <= (select max(time) from pg_temp.ingest_trial)
                """
            )
            report.loaded -= stored
            report.duplicate += stored
            rows = self._connection.execute(
                "select jsonb_strip_nulls(to_jsonb(t)) from (select * from pg_temp.ingest_trial limit %s) as t", [_ROWS]
            )
            self._trial.rows = [{name: _text(row[name]) for name in TARGETS if name in row} for (row,) in rows]

    def _make_partitions(self, oldest: datetime, newest: datetime) -> None:
        """The temporary table has none."""

    def _open_chunks(self) -> None:
        """The temporary table has none."""

    def _name_models(self) -> None:
        """Names are given where usage is stored."""

    def _look_up(self, lines: str, span: tuple[datetime, datetime]) -> None:
        """Puts the requests of the batch that are stored into the table: from here on it is as the real one."""
        if "request_id" not in self._targets:
            return
        columns = [*TARGETS, *COMPUTED, "ingested_at"]
        low, high = span
        # a lookup for each row, as in `Corrections`
        self._execute(
            f"""
            with there as (
                insert into pg_temp.ingest_trial ({listed(columns)})
                select {listed(f"m.{name}" for name in columns)}
                from (
                    select distinct request_id, time
                    from ingest_rows
                    where reasons is null and request_id is not null and {lines}
                ) as r
                cross join lateral (
                    select {listed(columns)}
                    from core.llm_metrics as m
                    where m.request_id = r.request_id and m.time = r.time
                        and m.time between {quoted(low)} and {quoted(high)}
                    limit 1
                ) as m
                on conflict (request_id, time) do nothing
                returning request_id, time
            )
            insert into ingest_there select request_id, time from there
            """
        )

    def _refuse(self, lines: str) -> None:
        wanted = _ROWS - len(self._trial.refused)
        rows = self._connection.execute(
            f"select line, reasons from ingest_rows where reasons is not null and {lines} order by line limit {wanted}"
        )
        self._trial.refused += rows.fetchall()


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
