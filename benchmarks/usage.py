"""Usage made inside the database: the same rows on every engine and version, a row a number."""

from datetime import datetime

COLUMNS = (
    "time, request_id, trace_id, user_id, team_id, api_key_id, provider, model, application, environment, input_tokens,"
    " cache_read_tokens, output_tokens, cost_amount, cost_source, status, latency_ms, time_to_first_token_ms"
)


def _dice(sides: int) -> str:
    """A number from 0 up to 1 that depends on the row's number and on `sides`, and on nothing else."""
    return f"((hashint8extended(n, {sides}) & 4294967295) / 4294967296.0::float8)"


# 1,000 people, whose shares follow Zipf's law, in 60 teams; each has 3 keys, a key is for one of 30 applications in one
# of 3 environments, and uses 4 of 15 models of 5 providers; request ids as text
_ROWS = f"""
    select
        timestamptz '{{begin}}' + n * interval '{{seconds}} seconds' as time,
        'req-' || md5('request-{{salt}}-' || n) as request_id,
        md5('trace-{{salt}}-' || n)::uuid as trace_id,
        md5('user-' || u)::uuid as user_id,
        md5('team-' || u % 60)::uuid as team_id,
        md5('key-' || u * 3 + k)::uuid as api_key_id,
        (array['openai', 'anthropic', 'google', 'mistral', 'azure'])[1 + m % 5] as provider,
        'model-' || m as model,
        'app-' || (u * 3 + k) % 30 as application,
        (array['production', 'staging', 'development'])[1 + k] as environment,
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
        latency / 8 as time_to_first_token_ms
    from generate_series({{first}}::bigint, {{last}}::bigint) as n
    cross join lateral (
        select
            floor(1000 ^ {_dice(1)})::integer as u,
            (floor(1000 ^ {_dice(1)})::integer + floor(4 * {_dice(2)} ^ 2)::integer) % 15 as m,
            floor(3 * {_dice(3)} ^ 2)::integer as k,
            {_dice(4)} as s,
            50 + floor(6000 * {_dice(5)} ^ 3)::bigint as tokens_in,
            case when {_dice(6)} < 0.3 then floor(2000 * {_dice(7)})::bigint else 0 end as cached,
            10 + floor(1500 * {_dice(8)} ^ 2)::bigint as tokens_out,
            200 + floor(12000 * {_dice(9)} ^ 4)::integer as latency
    ) as dice
"""


def usage_rows(begin: datetime, seconds: float, first: int, last: int, salt: str = "") -> str:
    """SELECT of the rows numbered `first` to `last`, in COLUMNS' order: row n is at begin + n * seconds.

    Another salt gives the same rows other request ids.
    """
    return _ROWS.format(begin=begin.isoformat(), seconds=f"{seconds:.9f}", first=first, last=last, salt=salt)
