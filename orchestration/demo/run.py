"""The whole demo: database, build, load, refresh, tests, pages."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

from orchestration.demo.files import UsageExport, latest_exports
from orchestration.demo.load import DemoLoad, load_demo
from orchestration.demo.money import settle_accounts
from orchestration.demo.pages import DemoPages, write_pages
from orchestration.demo.state import check_demo
from orchestration.lib.database.connection import connect
from orchestration.lib.database.in_use import configured_url, embedded_server, start
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.identity.accounts import ADMIN_EMAIL, DEFAULT_ADMIN_PASSWORD, ensure_admin
from orchestration.lib.settings import governance_home
from orchestration.lib.warehouse.build_lock import APPLICATION, build_lock
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.roles import apply_roles
from orchestration.lib.words import counted


@dataclass(frozen=True)
class DemoRun:
    """What a demo did, and where."""

    url: str
    load: DemoLoad
    exports: list[UsageExport]
    pages: DemoPages

    @property
    def heading(self) -> str:
        """One line that says what the demo is."""
        state, through = self.load.state, self.load.through
        return f"Northwind, {state.people:,} people made up from seed {state.seed}, up to {through:%Y-%m-%d %H:%M} UTC"


def run_demo(
    *,
    seed: int | None = None,
    people: int | None = None,
    days: int | None = None,
    today: date | None = None,
    default_password: bool = False,
    notify: Callable[[str], None] = lambda message: None,
) -> DemoRun:
    """Build the warehouse in the database in use (the embedded one is started), load the demo, refresh, test, show.

    `today` pretends that it's an earlier day. With `default_password` the administrator's first password is the
    well-known one; else one is made up, unless the environment gives one, and told to `notify`. Raises
    GovernanceError.
    """
    url = configured_url()
    if url is None:
        with _step("database", notify):
            url = start(embedded_server(notify))
    check_demo(url, seed=seed, people=people, days=days)
    with _step("build", notify):
        # its tests have something to test once the demo is loaded
        with build_lock(url, "governance demo"):
            run_dbt(
                ["build", "--resource-type", "seed", "model"], url, quiet=True, application=APPLICATION, notify=notify
            )
        with connect(url) as connection:
            password = ensure_admin(
                connection,
                password=DEFAULT_ADMIN_PASSWORD if default_password else None,
                allow_default=default_password,
            )
        if password:
            notify(f"First password of {ADMIN_EMAIL}, shown only now: {password}")
    clock = datetime.now(UTC)
    now = None if today is None or today == clock.date() else datetime.combine(today, clock.timetz())
    with _step("load", notify):
        folder = governance_home() / "demo"
        load = load_demo(url, seed=seed, people=people, days=days, now=now, folder=folder, notify=notify)
        notify(
            f"{load.requests:,} requests of {load.since:%Y-%m-%d %H:%M} to {load.through:%Y-%m-%d %H:%M} UTC"
            if load.is_new_day
            else f"nothing to add: the demo is there up to {load.through:%Y-%m-%d %H:%M} UTC and grows once a day, "
            f"from {load.grows_from:%Y-%m-%d %H:%M %Z} on"
        )
    with _step("refresh", notify):
        refresh(url)
    with _step("closing", notify):
        closed = settle_accounts(url, load.state, load.through)
        if closed:
            notify(f"{counted(closed, 'month')} closed, and a model priced whose price was unknown")
    if configured_url() is None:
        # a server of somebody's own gets roles where he asks for them
        with _step("roles", notify):
            applied = apply_roles(url)
            notify(f"{counted(len(applied.statements), 'statement')}: governance_reader reads reports, nothing else")
            for sentence in applied.impossible:
                notify(f"not possible: {sentence}")
    with _step("test", notify):
        # the well-known password may have been asked for; `governance verify` shows it
        run_dbt(["test", "--exclude", "well_known_passwords"], url, quiet=True, notify=notify)
    with _step("pages", notify):
        pages = write_pages(url, folder)
    return DemoRun(url, load, latest_exports(folder), pages)


@contextmanager
def _step(name: str, notify: Callable[[str], None]) -> Iterator[None]:
    started = time.monotonic()
    notify(f"{name} ...")
    yield
    notify(f"{name}: {time.monotonic() - started:.1f} s")
