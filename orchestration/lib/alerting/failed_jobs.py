"""Alerts about jobs that failed: one for each cause, resolved when the job succeeds again."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime

from orchestration.lib.database.connection import Connection

ALERT_TYPE = "job_failed"
# what core.alerts takes of a title, and how much of an error is worth reading there
_TITLE, _MESSAGE = 300, 4000


@dataclass(frozen=True)
class FailedRun:
    """A run that failed: of which job, with what error in a sentence, and how bad that is (a severity of alerts)."""

    run: str
    job: str
    message: str
    severity: str
    failed_at: datetime
    step: str | None = None

    @property
    def cause(self) -> str:
        """What is the same for runs that failed for the same reason: numbers, such as of processes, are not."""
        reason = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", self.message)
        digest = hashlib.sha256(f"{self.step}\n{reason}".encode()).hexdigest()[:16]
        return f"{ALERT_TYPE} {self.job[:400]} {digest}"


def raise_alert(connection: Connection, failed: FailedRun) -> None:
    """Open an alert about the run, or count it in the one that is open about its cause; a run that is known is not.

    An alert names the last 50 runs.
    """
    message = _clean(failed.message, _MESSAGE)
    known = connection.execute(
        "select from core.alerts where alert_type = %s and details @> %s::jsonb limit 1",
        [ALERT_TYPE, json.dumps({"runs": [failed.run]})],
    )
    if known.fetchone() is not None:
        return
    details = {
        "job": failed.job,
        "step": failed.step,
        "message": message,
        "failures": 1,
        "runs": [failed.run],
        "last_failed_at": failed.failed_at.isoformat(),
    }
    connection.execute(
        """
        insert into core.alerts as alert (alert_type, severity, title, details, dedupe_key, created_at)
        values (%s, %s, %s, %s::jsonb, %s, least(%s, now()))
        on conflict (dedupe_key) where status in ('open', 'acknowledged') do update set
            details = alert.details || jsonb_build_object(
                'failures', (alert.details ->> 'failures')::integer + 1,
                'runs', case
                    when jsonb_array_length(alert.details -> 'runs') < 50
                        then (alert.details -> 'runs') || (excluded.details -> 'runs')
                    else ((alert.details -> 'runs') - 1) || (excluded.details -> 'runs')
                end,
                'last_failed_at', excluded.details -> 'last_failed_at',
                'message', excluded.details -> 'message'
            )
        """,
        [
            ALERT_TYPE,
            failed.severity,
            _clean(f"{failed.job} failed: {failed.message}", _TITLE),
            json.dumps(details),
            failed.cause,
            failed.failed_at,
        ],
    )


def resolve_alerts(connection: Connection, job: str, succeeded_at: datetime) -> int:
    """Resolve the alerts about earlier failures of the job; returns how many there were."""
    return connection.execute(
        """
        update core.alerts
        set status = 'resolved', resolved_at = greatest(created_at, acknowledged_at, least(%s, now()))
        where alert_type = %s
            and details @> %s::jsonb
            and status in ('open', 'acknowledged')
            and created_at <= %s
        """,
        [succeeded_at, ALERT_TYPE, json.dumps({"job": job}), succeeded_at],
    ).rowcount


def _clean(text: str, length: int) -> str:
    """The text without what can't be seen, as long as is allowed."""
    seen = "".join(each if each.isprintable() or each == "\n" else " " for each in text)
    if length == _TITLE:
        seen = " ".join(seen.split())
    return seen if len(seen) <= length else f"{seen[: length - 1]}…"
