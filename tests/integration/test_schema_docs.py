"""docs/schema.md is what the catalog says."""

import pytest

from orchestration.lib.database.connection import Connection
from orchestration.lib.settings import project_dir
from orchestration.lib.warehouse.schema_docs import schema_page


@pytest.mark.engines("postgres")
def test_the_schema_page_is_current(connection: Connection) -> None:
    page = (project_dir() / "docs" / "schema.md").read_text(encoding="utf-8")
    assert page == schema_page(connection), "`make generate` writes it anew"
