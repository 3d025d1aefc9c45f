"""A load that is only tried: everything is read and judged as in a load, and goes to temporary tables."""
# ruff: noqa: S608 - statements are built of this module's own words and quoted names

from dataclasses import dataclass, field
from datetime import datetime

from orchestration.lib.usage.merge import IngestReport, UsageMerger, explained
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
    _compares_all = True
    _keeps_prices = False
    _stored = "(select * from core.llm_metrics union all select * from pg_temp.ingest_trial)"

    def begin(self, trial: Trial) -> None:
        """To be called first; what would happen is added to `trial`."""
        self._trial = trial
        # what is in quarantine stays there
        self._has_quarantine = False
        with explained():
            self._execute("drop table if exists pg_temp.ingest_trial")
            self._execute(
                "create temporary table ingest_trial"
                " (like core.llm_metrics including defaults including constraints including generated,"
                " unique (request_id, time))"
            )

    def end(self, report: IngestReport) -> None:
        """To be called when all is merged: counts what is stored already as duplicate, and looks at the first rows."""
        with explained():
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
            self._trial.rows = [{name: str(row[name]) for name in TARGETS if name in row} for (row,) in rows.fetchall()]

    def _make_partitions(self, oldest: datetime, newest: datetime) -> None:
        """The temporary table has none."""

    def _open_chunks(self) -> None:
        """The temporary table has none."""

    def _name_models(self) -> None:
        """Names are given where usage is stored."""

    def _refuse(self, lines: str) -> None:
        wanted = _ROWS - len(self._trial.refused)
        rows = self._connection.execute(
            f"select line, reasons from ingest_rows where reasons is not null and {lines} order by line limit {wanted}"
        )
        self._trial.refused += rows.fetchall()
