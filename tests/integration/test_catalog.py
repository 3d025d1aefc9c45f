"""Reading the catalog of a database: it says the same of databases that were built alike."""

import pytest

from orchestration.lib.database.connection import Connection
from orchestration.lib.verification.drift.catalog import compare_catalogs, read_catalog


@pytest.mark.engines("postgres")
def test_the_constant_for_the_planner_in_a_rollup_is_left_out(connection: Connection) -> None:
    before = read_catalog(connection)
    connection.execute(
        """
        do $$
        declare
            rollup text;
            body text;
            simpler text;
        begin
            foreach rollup in array array['llm_metrics_hourly', 'llm_policy_daily'] loop
                body := pg_get_viewdef(('rollups.' || rollup)::regclass);
                simpler := regexp_replace(body, ' AND \\([a-z_.]*"time" >= ''[^'']*''::\\w+ [a-z ]+\\)', '');
                assert simpler <> body, body;
                execute format('create or replace view rollups.%I as %s', rollup, simpler);
            end loop;
        end $$
        """
    )
    assert compare_catalogs(before, read_catalog(connection)) == []


@pytest.mark.engines("postgres")
def test_a_partition_of_other_dates_is_no_difference_but_one_that_lacks_something_is(connection: Connection) -> None:
    before = read_catalog(connection)
    connection.execute(
        "select internal.ensure_partitions('core.llm_metrics', timestamptz '2020-01-06', timestamptz '2020-01-06')"
    )
    assert compare_catalogs(before, read_catalog(connection)) == []
    connection.execute("alter table core.llm_metrics_20200106 alter column model set default 'x'")
    assert [str(difference) for difference in compare_catalogs(before, read_catalog(connection))] == [
        "column core.llm_metrics_20200106.model: found default 'x'::text, expected nothing"
    ]


def test_reading_leaves_the_session_as_it_was(connection: Connection) -> None:
    connection.execute("set local search_path = core")
    read_catalog(connection)
    assert connection.execute("show search_path").fetchone() == ("core",)
