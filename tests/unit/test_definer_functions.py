"""What `make lint` asks of functions with the owner's rights, as far as it can be told without a database."""

import pytest
from definer_functions import ENGINES, complaints, definer_functions


@pytest.mark.parametrize("name", ENGINES)
def test_each_is_rendered_whole_and_pinned(name: str) -> None:
    functions = definer_functions(name)
    assert len(functions) > 15
    assert [each for each, text in functions.items() if "set search_path = pg_catalog, pg_temp" not in text] == []
    assert [each for each, text in functions.items() if "{{" in text or "{%" in text] == []


def test_a_careless_one_is_found() -> None:
    careless = "create function public.f() returns void language sql security definer as 'select g()';"
    assert "PS003" in complaints([careless])
    assert complaints([definer_functions("postgres")["internal.person_called"]]) == ""
