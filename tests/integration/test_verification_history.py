"""What verification reads doesn't grow with the history of usage."""

import re

import pytest
from engines import Engine

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.refresh import refresh

HISTORY = """
    insert into core.llm_metrics (time, ingested_at, request_id, user_id, provider, model, policy_id, policy_decision)
    select
        now() - n * interval '1 day', now() - n * interval '1 day' + interval '1 second',
        n::text, md5('u')::uuid, 'p', 'm', md5('policy')::uuid, 'allow'
    from generate_series(0, 90, 3) as n
"""
# (actual rows=1 loops=1), or 1.00 from PostgreSQL 18 on
READ = re.compile(r" on compress_hyper\S*.*\(actual rows=([0-9.]+) loops=[0-9]+\)")


def batches_read(connection: Connection, relation: str) -> float:
    """Batches of compressed rows that reading all of a relation takes out of chunks."""
    plan = connection.execute(f"explain (analyze, costs off, timing off, summary off) table {relation}".encode())
    return sum(float(found[1]) for (line,) in plan if (found := READ.search(line)))


@pytest.mark.engines("timescaledb")
def test_no_rule_decompresses_what_came_long_ago(engine: Engine) -> None:
    with engine.database("verification_history") as url, connect(url) as connection:
        connection.execute(HISTORY.encode())
        refresh(url)
        connection.execute(
            "select public.compress_chunk(c)"
            " from public.show_chunks('core.llm_metrics', older_than => interval '14 days') as c"
        )
        read = {}
        for (rule,) in connection.execute("select rule from verification.rules").fetchall():
            read[rule] = batches_read(connection, f"verification.{rule}")
        assert {rule: batches for rule, batches in read.items() if batches} == {}
        assert batches_read(connection, "core.llm_metrics") > 5, "the plans would show it"
