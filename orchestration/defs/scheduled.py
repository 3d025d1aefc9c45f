"""When a job runs by the clock: the project's times, unless the environment says otherwise."""

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg

from orchestration.lib.database.in_use import database_url
from orchestration.lib.errors import GovernanceError, NotBuiltError
from orchestration.lib.settings import settings
from orchestration.lib.warehouse.refresh import is_built

# each with a job <name>_job and a variable GOVERNANCE_<NAME>_SCHEDULE
SCHEDULED = (
    "audit",
    "backup",
    "build",
    "comparison",
    "daily_report",
    "drill",
    "passwords",
    "prices",
    "quarterly_report",
    "refresh",
    "report",
    "retention",
    "signing",
    "verification",
    "weekly_report",
)
# the tag of a job that says how bad it is where it fails
SEVERITY = "governance/severity"
ZONE = "GOVERNANCE_SCHEDULE_TIMEZONE"
NOT_BUILT = "the warehouse isn't built yet: run `governance build`, or materialize all in Dagster"

Asked = dg.RunRequest | dg.SkipReason
# what a tick asks for
Due = Callable[[dg.ScheduleEvaluationContext], Asked | Iterator[Asked]]


def limits(minutes: int, *, severity: str = "high") -> dict[str, str]:
    """Tags of a job: how long it may run before it is ended, and how bad it is where it fails, as of alerts."""
    return {"dagster/max_runtime": str(minutes * 60), SEVERITY: severity}


def scheduled(name: str, cron: str, why: str, *, is_on: bool = True, due: Due | None = None) -> dg.ScheduleDefinition:
    """The schedule of <name>_job, which waits until the warehouse is built, and is on unless `is_on` says otherwise.

    $GOVERNANCE_<NAME>_SCHEDULE gives another cron, and so turns it on, or `off`; its hours are those of
    $GOVERNANCE_SCHEDULE_TIMEZONE, else of UTC. `why` is what it is good for, a sentence; `due` gives the runs of a
    tick, one unless it is given. Raises GovernanceError where a variable makes no sense.
    """
    if name not in SCHEDULED:
        raise ValueError(f"{name} is missing in SCHEDULED")
    named = variable(name)
    given = settings().schedules.get(name, "")
    is_off = given.lower() == "off"
    runs = not is_off if given else is_on
    turns = "gives another time, or turns it off" if is_on else "gives its time, and turns it on"
    try:
        return dg.ScheduleDefinition(
            name=f"{name}_schedule",
            job_name=f"{name}_job",
            cron_schedule=cron if is_off or not given else given,
            execution_timezone=zone(),
            default_status=dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED,
            description=f"{why} {named} {turns}.",
            execution_fn=due or run_unless_unbuilt,
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise GovernanceError(
            f"{named} is {given!r}, which is no time: give the five fields of cron, such as {cron!r}, or `off`"
        ) from error


def check_settings() -> None:
    """Raises GovernanceError where a variable about schedules can't be understood, or is about none there is."""
    for name in settings().schedules:
        if name not in SCHEDULED:
            names = ", ".join(map(variable, SCHEDULED))
            raise GovernanceError(f"there is no schedule for {variable(name)}; the variables are {names}")
        scheduled(name, "0 4 * * *", "")
    if settings().schedules.get("prices", "").lower() not in ("", "off") and settings().prices_from is None:
        raise GovernanceError(f"{variable('prices')} is set, but not where prices are: GOVERNANCE_PRICES_FROM says it")
    zone()


def run_unless_unbuilt(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """A run, once there is a warehouse."""
    return dg.SkipReason(NOT_BUILT) if waits_for_build() else dg.RunRequest()


def waits_for_build() -> bool:
    """Whether there is no warehouse yet."""
    try:
        return not is_built(database_url())
    except GovernanceError:
        # the run fails with the reason, where somebody is told of failed runs
        return False


def built_database() -> str:
    """URL of the database in use; raises NotBuiltError where there is no warehouse yet, else GovernanceError."""
    url = database_url()
    if not is_built(url):
        raise NotBuiltError(NOT_BUILT)
    return url


def variable(name: str) -> str:
    """Name of the variable that gives a schedule its time."""
    return f"GOVERNANCE_{name.upper()}_SCHEDULE"


def zone() -> str:
    """The time zone of the schedules. Raises GovernanceError where there is none of that name."""
    name = settings().schedule_timezone or "UTC"
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise GovernanceError(f"{ZONE} is {name!r}, which is no time zone: name one such as Europe/Berlin") from error
    return name
