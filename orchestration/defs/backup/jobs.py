"""Backs up, and proves by a restore that a backup can be used; off until the environment says when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from orchestration.defs.failures import explained
from orchestration.defs.scheduled import built_database, limits, scheduled
from orchestration.lib.backup.backup import backup
from orchestration.lib.backup.drill import drill
from orchestration.lib.backup.encryption import read_identities, read_recipients
from orchestration.lib.backup.keep import Keep, delete_superseded
from orchestration.lib.settings import governance_home, settings

BACKUP, DRILL = dg.AssetKey(["operations", "backup"]), dg.AssetKey(["operations", "restored_backup"])
# a monthly drill, and some days to mend what it found
DRILL_WITHIN = timedelta(days=35)
_SPECS = [
    dg.AssetSpec(
        BACKUP,
        deps=[dg.AssetKey(["core", "llm_metrics"])],
        description="A dump of one moment, with a fingerprint of each table, in `backups` of the home folder. "
        "backup_job makes one.",
        group_name="operations",
        owners=["team:platform"],
        kinds={"postgres", "file"},
    ),
    dg.AssetSpec(
        DRILL,
        deps=[BACKUP],
        description="A backup that was restored into a database that is dropped again, compared, and verified. "
        "drill_job does it.",
        group_name="operations",
        owners=["team:platform"],
        kinds={"postgres"},
    ),
]


@dg.op(pool="backup")
def back_up(context: dg.OpExecutionContext) -> None:
    """Back the warehouse up while it is in use; what breaks off leaves nothing behind."""
    with explained():
        url, output = built_database(), governance_home() / "backups"
        keep = Keep.parse(said) if (said := settings().backup_keep) else None
        recipients = read_recipients(settings().backup_recipients)
        folder, manifest = backup(url, output, recipients=recipients, tell=context.log.info)
        for gone in delete_superseded(output, keep, manifest.database) if keep else ():
            context.log.info("deleted %s, which newer ones supersede", gone)
    context.log_event(
        dg.AssetMaterialization(
            BACKUP,
            metadata={
                "folder": dg.MetadataValue.path(str(folder)),
                "dagster/row_count": manifest.rows,
                "tables": len(manifest.tables),
                "encrypted": bool(recipients),
            },
        )
    )


@dg.job(tags=limits(240))
def backup_job() -> None:
    """Backs the warehouse up."""
    back_up()


@dg.op(pool="backup")
def prove_backup(context: dg.OpExecutionContext) -> None:
    """Take a backup, restore it into a database that is dropped again, and verify that one."""
    with explained():
        url, output = built_database(), governance_home() / "backups"
        identity = settings().backup_identity
        done = drill(
            url,
            output,
            recipients=read_recipients(settings().backup_recipients),
            identities=read_identities(identity) if identity else (),
            tell=context.log.info,
        )
    metadata: dict[str, Any] = {"folder": dg.MetadataValue.path(str(done.folder)), "dagster/row_count": done.rows}
    context.log_event(dg.AssetMaterialization(BACKUP, metadata=metadata))
    context.log_event(
        dg.AssetMaterialization(DRILL, metadata={**metadata, "seconds of the restore": round(done.seconds, 1)})
    )


@dg.job(tags=limits(480))
def drill_job() -> None:
    """Proves by a restore that a backup can be used: one that was never restored is none."""
    prove_backup()


@dg.asset_check(asset=DRILL)
def drill_is_recent(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """A restore was tried within the last 35 days; a warning where it wasn't."""
    event = context.instance.get_latest_materialization_event(DRILL)
    last = None if event is None else datetime.fromtimestamp(event.timestamp, UTC)
    if last is not None and datetime.now(UTC) - last < DRILL_WITHIN:
        return dg.AssetCheckResult(passed=True, metadata={"last drill": dg.MetadataValue.timestamp(last)})
    known = "No restore was tried here" if last is None else f"The last restore was tried on {last:%Y-%m-%d}"
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{known}: run drill_job, and each month by GOVERNANCE_DRILL_SCHEDULE",
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Jobs and assets of backups; their schedules are off until a variable gives their time."""
    return dg.Definitions(
        assets=_SPECS,
        asset_checks=[drill_is_recent],
        jobs=[backup_job, drill_job],
        schedules=[
            scheduled("backup", "0 2 * * *", "Backs the warehouse up.", is_on=False),
            scheduled("drill", "0 5 1 * *", "Proves by a restore that a backup can be used.", is_on=False),
        ],
    )
