"""Usage made inside the database by set-based SQL: the same rows on every engine and version, a row a number."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from orchestration.lib.database.connection import Connection

COLUMNS = (
    "time, request_id, trace_id, user_id, team_id, api_key_id, provider, model, application, environment, input_tokens,"
    " cache_read_tokens, output_tokens, cost_amount, cost_source, status, latency_ms, time_to_first_token_ms,"
    " policy_id, policy_decision, tags, ingested_at"
)
# as many rows in one statement: keeps memory and write-ahead log within bounds
SLICE = 250_000


def _dice(sides: int) -> str:
    """A number from 0 up to 1 that depends on the row's number and on `sides`, and on nothing else."""
    return f"((hashint8extended(n, {sides}) & 4294967295) / 4294967296.0::float8)"


# 1,000 people in 60 teams, whose shares follow Zipf's law. So do those of the 15 models of 5 providers: three in five
# requests take what is most used everywhere, the others what is most used in their team, so each team uses nearly every
# model. A person has 3 keys; a key is used from up to 6 of 30 applications, mostly from one, in all 3 environments.
_ROWS = f"""
    select
        timestamptz '{{begin}}' + n * interval '{{seconds}} seconds' as time,
        'req-' || md5('request-{{salt}}-' || n) as request_id,
        md5('trace-{{salt}}-' || n)::uuid as trace_id,
        md5('user-' || u)::uuid as user_id,
        md5('team-' || u % 60)::uuid as team_id,
        md5('key-' || u || '-' || k)::uuid as api_key_id,
        (array['openai', 'anthropic', 'google', 'mistral', 'azure'])[1 + m % 5] as provider,
        'model-' || m as model,
        'app-' || (u * 3 + k + a) % 30 as application,
        (array['production', 'staging', 'development'])[1 + (k + e) % 3] as environment,
        tokens_in as input_tokens,
        cached as cache_read_tokens,
        tokens_out as output_tokens,
        (tokens_in * 0.0000025 + cached * 0.00000125 + tokens_out * 0.00001)::numeric as cost_amount,
        'computed' as cost_source,
        case
            when s < 0.96 then 'success'
            when s < 0.98 then 'error'
            when s < 0.99 then 'rate_limited'
            else 'blocked'
        end as status,
        latency as latency_ms,
        latency / 8 as time_to_first_token_ms,
        case when {{governed}} then md5('policy-' || 1 + u % 40 || '-2')::uuid end as policy_id,
        case when {{governed}} then case when s < 0.99 then 'allow' else 'block' end end as policy_decision,
        case when {{tagged}} then jsonb_build_object('feature', 'feature-' || n % 1000) end as tags,
        -- rules about what came lately read what came lately, not all
        timestamptz '{{begin}}' + n * interval '{{seconds}} seconds' + interval '1 second' as ingested_at
    from generate_series({{first}}::bigint, {{last}}::bigint) as n
    cross join lateral (
        select
            floor(1000 ^ {_dice(1)})::integer as u,
            floor(15 ^ ({_dice(2)} ^ 1.5))::integer - 1 as popular,
            {_dice(10)} < 0.6 as everywhere,
            floor(3 * {_dice(3)} ^ 2)::integer as k,
            floor(6 * {_dice(11)} ^ 5)::integer as a,
            floor(3 * {_dice(12)} ^ 4)::integer as e,
            {_dice(4)} as s,
            50 + floor(6000 * {_dice(5)} ^ 3)::bigint as tokens_in,
            case when {_dice(6)} < 0.3 then floor(2000 * {_dice(7)})::bigint else 0 end as cached,
            10 + floor(1500 * {_dice(8)} ^ 2)::bigint as tokens_out,
            200 + floor(12000 * {_dice(9)} ^ 4)::integer as latency
        offset 0  -- so that each is computed once
    ) as dice
    cross join lateral (select (popular + case when everywhere then 0 else u % 60 end) % 15 as m) as choice
"""


class Usage:
    """Requests of some days up to the current hour, evenly spread over time.

    With `governed` a tenth of them were judged by one of 40 policies, and a quarter has a tag.
    """

    def __init__(self, rows: int, days: int = 30, *, governed: bool = False) -> None:
        self.rows = rows
        self.days = days
        self.governed = governed
        self.end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.begin = self.end - timedelta(days=days)
        self.seconds = days * 86_400 / rows
        self.today = self.end.replace(hour=0)

    def number(self, moment: datetime) -> int:
        """The first row that is not before a moment."""
        return round((moment - self.begin).total_seconds() / self.seconds)

    def select(self, first: int, last: int, salt: str = "") -> str:
        """SELECT of the rows numbered `first` to `last`, in COLUMNS' order: row n is at begin + n * seconds.

        Another salt gives the same rows other request ids.
        """
        return _ROWS.format(
            begin=self.begin.isoformat(),
            seconds=f"{self.seconds:.9f}",
            first=first,
            last=last,
            salt=salt,
            governed="n % 10 = 0" if self.governed else "false",
            tagged="n % 4 = 0" if self.governed else "false",
        )

    def insert(self, connection: Connection, first: int, last: int, salt: str = "") -> None:
        """Insert rows by their numbers, in one statement."""
        connection.execute(f"insert into core.llm_metrics ({COLUMNS}) {self.select(first, last, salt)}".encode())

    def delete(self, connection: Connection, first: int, last: int, salt: str = "") -> None:
        """Delete what `insert` inserted, in one statement."""
        connection.execute(
            "delete from core.llm_metrics where time between %s and %s and request_id in (select 'req-' ||"
            " md5(format('request-%%s-%%s', %s::text, n)) from generate_series(%s::bigint, %s::bigint) as n)",
            [*(self.begin + timedelta(seconds=n * self.seconds) for n in (first - 1, last + 1)), salt, first, last],
            # a plan for any times would decompress every chunk
            prepare=False,
        )

    def load(
        self,
        connection: Connection,
        first: int = 1,
        last: int | None = None,
        notify: Callable[[str], object] = lambda message: None,
    ) -> None:
        """Insert rows by their numbers, all by default, a slice at a time."""
        last = self.rows if last is None else last
        if connection.execute("select from pg_extension where extname = 'timescaledb'").fetchone() is None:
            connection.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [self.begin, self.end])
        for number in range(first, last + 1, SLICE):
            notify(f"requests from {number:,} of {last:,}")
            self.insert(connection, number, min(number + SLICE - 1, last))
