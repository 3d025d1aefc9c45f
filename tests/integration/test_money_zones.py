"""Random histories of money in a zone whose clocks change and whose hours begin elsewhere: each report by an oracle.

Loads, corrections, loads taken back, currencies, requests without a price, moves of people and teams, dated prices,
repricing, closings, credits and retention; GOVERNANCE_MONEY_EXAMPLES=200 draws more of them.
"""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from engines import Engine
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from money_answers import RULES, check
from money_histories import STEPS, History

from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.runner import run_dbt, run_operation

# read here, for no test sees the variables of the shell
EXAMPLES = int(os.environ.get("GOVERNANCE_MONEY_EXAMPLES") or 3)
ZONE = ("America/St_Johns", "Australia/Adelaide", "America/New_York")[date.today().toordinal() % 3]  # noqa: DTZ011
# what is compared, of what names the zone
REPORTS = (
    "cost_summary_view", "spend_by_team_view", "spend_by_user_view", "spend_by_model_view", "spend_by_team_model_view",
    "month_to_date", "team_hierarchy_view", "budget_status", "user_activity_summary_view", "chargeback",
    "focus_cost_and_usage", "period_totals",
)  # fmt: skip


@pytest.fixture
def warehouse(engine: Engine) -> Iterator[str]:
    options = ["--vars", f"{{reporting_timezone: {ZONE}}}"]
    with engine.database("money_zones") as url:
        run_operation("rebuild_rollups", url=url, options=options)
        run_dbt(["run", "--select", "core.metrics", *REPORTS, *RULES, *options], url, quiet=True)
        yield url


@pytest.mark.engines("postgres")
def test_every_report_of_money_equals_the_oracle(warehouse: str, tmp_path: Path) -> None:
    with connect(warehouse) as connection:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(st.data())
        def histories(data: st.DataObject) -> None:
            history = History(warehouse, ZoneInfo(ZONE), connection, tmp_path)
            more = data.draw(st.lists(st.sampled_from(STEPS), min_size=4, max_size=10))
            for kind in ("load", "move", "load", "refresh", *more, "refresh"):
                history.play(kind, data.draw)
            check(history)

        histories()
