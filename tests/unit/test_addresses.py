"""Addresses are shown without what may be secret in them."""

import pytest

from orchestration.lib.addresses import ask, shown
from orchestration.lib.errors import GovernanceError


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("https://prices.example/map.json", "https://prices.example/map.json"),
        ("https://user:secret@prices.example:8443/map.json", "https://prices.example:8443/map.json"),
        ("https://prices.example/map.json?token=secret#secret", "https://prices.example/map.json"),
        # what was to be percent-encoded
        ("https://user:se/cret@prices.example/map.json", "the address that is given"),
        ("https://user:s@ecret@prices.example/map.json", "https://prices.example/map.json"),
        ("http://[::1/secret", "the address that is given"),
        ("ftp://user:secret@prices.example/", "ftp://prices.example/"),
        ("/srv/prices@work.csv", "/srv/prices@work.csv"),
    ],
)
def test_an_address_is_shown_without_login_and_token(place: str, expected: str) -> None:
    assert shown(place) == expected


@pytest.mark.parametrize("address", ["https://user:secret/@prices.example/", "https://prices.example:secret/"])
def test_what_is_no_address_is_told_without_its_secret(address: str) -> None:
    with pytest.raises(GovernanceError, match="is no address") as raised:
        ask(address, seconds=1)
    assert "secret" not in str(raised.value)
    # nor in what Dagster keeps of an error and its causes
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
