"""What `make lint` asks of functions with the owner's rights, as far as it can be told without a database."""

import pytest
from definer_functions import ENGINES, complaints, definer_functions


@pytest.mark.parametrize("engine", ENGINES)
def test_each_is_rendered_whole_and_pinned(engine: str) -> None:
    functions = definer_functions(engine)
    assert len(functions) > 15
    assert [name for name, text in functions.items() if "set search_path = pg_catalog, pg_temp" not in text] == []
    assert [name for name, text in functions.items() if "{{" in text or "{%" in text] == []


def test_a_careless_one_is_found() -> None:
    careless = "create function public.f() returns void language sql security definer as 'select g()';"
    assert "PS003" in complaints([careless])
    assert complaints([definer_functions("postgres")["internal.person_called"]]) == ""
