"""The queries of the pages on questions and budgets are answered."""

import re

import pytest
from core_rows import add_team

from orchestration.lib.database.connection import Connection
from orchestration.lib.settings import project_dir

QUERIES = [
    pytest.param(query, id=f"{page}-{number}")
    for page in ("questions", "budgets")
    for number, query in enumerate(
        re.findall(r"```sql\n(.+?)```", (project_dir() / "docs" / f"{page}.md").read_text(), re.DOTALL), 1
    )
]


@pytest.mark.engines("postgres")
@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_pages_is_answered(connection: Connection, query: str) -> None:
    add_team(connection, slug="search")
    assert connection.execute(query.encode()).statusmessage
