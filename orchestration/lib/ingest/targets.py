"""What a usage record can say: the columns of core.llm_metrics that a file may fill, and how each is read in SQL.

A value arrives as text. Nearly every value is plain, so each target has a cheap test for that, which saves it the
full judgement: expensive regular expressions on some twenty columns cost more than the load itself.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestration.lib.errors import GovernanceError

REQUIRED = ("time", "provider", "model")
# generated or set by the database
_NOT_FOR_FILES = {
    "total_tokens": "total_tokens is the sum of the token classes and can't be loaded: leave it out",
    "ingested_at": "ingested_at is the time of the load and can't be given: leave it out",
}


@dataclass(frozen=True)
class Target:
    """A column that a file may fill, by SQL expressions over columns that are named as the target.

    The first four are over a text without spaces around it, null where there is none. `plain`: false = look closely,
    true = `cast` reads it, or fails; `problem`: what is wrong with it, null = nothing; `value`: what it says where
    there is no problem. `json` is over the typed value: its JSON in the hash of a row without a request_id. `default`
    is for rows that say nothing, None where that is null or decided elsewhere.
    """

    name: str
    plain: str
    cast: str
    problem: str
    value: str
    json: str
    default: str | None = None
    holds_text: bool = False


def _time(name: str) -> Target:
    iso = (
        f"{name} like '____-__-_____:__%' and substr({name}, 11, 1) in ('T', 't', ' ') and {name} !~ '[^-+0-9:.TtZz ]'"
    )
    # Unix time by its digits: seconds, milli-, micro- or nanoseconds, the same years 2001 to 2286 in each
    return Target(
        name,
        plain=f"({name} like '____-__-__T__:__%' or {name} like '____-__-__ __:__%') and {name} !~ '[^-+0-9:.TZ ]'",
        cast=f"{name}::timestamptz",
        problem=f"""case
            when {name} is null then '{name} is missing'
            when {name} !~ '^([0-9]{{10}}|[0-9]{{13}}|[0-9]{{16}}|[0-9]{{19}})([.][0-9]{{1,9}})?$'
                and not ({iso} and internal.input_is_valid({name}, 'timestamptz'))
                then '{name} is neither an ISO 8601 timestamp nor a Unix time'
        end""",
        value=f"""case
            when {name} ~ '[^0-9.]' then {name}::timestamptz
            else timestamptz 'epoch' + interval '1 microsecond' * trunc(
                {name}::numeric * power(10::numeric, 16 - length(split_part({name}, '.', 1)))
            )::bigint
        end""",
        json=f"(extract(epoch from {name}) * 1000000)::bigint",
    )


def _text(name: str, limit: int = 200) -> Target:
    missing = f"when {name} is null then '{name} is missing'" if name in REQUIRED else ""
    return Target(
        name,
        plain=f"length({name}) <= {limit}",
        cast=name,
        problem=f"case {missing} when length({name}) > {limit} then '{name} is longer than {limit} characters' end",
        value=name,
        json=f"to_json({name})",
        holds_text=True,
    )


def _choice(name: str, *choices: str, default: str | None = None) -> Target:
    quoted = ", ".join(f"'{choice}'" for choice in choices)
    return Target(
        name,
        plain=f"{name} in ({quoted})",
        cast=name,
        problem=f"case when lower({name}) not in ({quoted}) then '{name} is none of {', '.join(choices)}' end",
        value=f"lower({name})",
        json=f"'\"' || {name} || '\"'",
        default=default,
    )


def _uuid(name: str) -> Target:
    return Target(
        name,
        plain=f"length({name}) = 36",
        cast=f"{name}::uuid",
        problem=f"case when not internal.input_is_valid({name}, 'uuid') then '{name} is not a uuid' end",
        value=f"{name}::uuid",
        json=f"'\"' || {name} || '\"'",
    )


def _count(name: str) -> Target:
    # below 10^12, so that sums over millions of rows stay bigint
    return Target(
        name,
        plain=f"{name} !~ '[^0-9]' and length({name}) <= 12",
        cast=f"{name}::bigint",
        problem=f"""case
            when {name} !~ '^[0-9]{{1,12}}([.]0*)?$' then '{name} is not a whole number from 0 to 10^12'
        end""",
        value=f"split_part({name}, '.', 1)::bigint",
        json=name,
        default="0",
    )


def _milliseconds(name: str) -> Target:
    return Target(
        name,
        plain=f"{name} !~ '[^0-9]' and length({name}) <= 9",
        cast=f"{name}::integer",
        problem=f"""case
            when {name} !~ '^[0-9]{{1,9}}([.][0-9]*)?$' then '{name} is not a number of milliseconds from 0 to 10^9'
        end""",
        value=f"round({name}::numeric)::integer",
        json=name,
    )


def _money(name: str) -> Target:
    return Target(
        name,
        plain=f"{name} ~ '^[0-9]+[.]?[0-9]*$' and length({name}) <= 12",
        cast=f"{name}::numeric",
        problem=f"""case
            when {name} !~ '^([0-9]{{1,12}}([.][0-9]{{0,30}})?|[.][0-9]{{1,30}})$'
                and {name} !~ '^[0-9]([.][0-9]{{1,30}})?[eE]([+]?0?[0-9]|-[0-9]{{1,2}})$'
                then '{name} is not an amount of 0 or more below 10^12'
        end""",
        value=f"{name}::numeric",
        json=f"trim_scale({name})",
    )


def _currency(name: str) -> Target:
    return Target(
        name,
        plain=f"length({name}) = 3 and {name} !~ '[^A-Z]'",
        cast=name,
        problem=f"""case
            when length({name}) <> 3 or {name} ~ '[^A-Za-z]' then '{name} is not a code of three letters'
        end""",
        value=f"upper({name})",
        json=f"'\"' || {name} || '\"'",
    )


def _object(name: str) -> Target:
    return Target(
        name,
        plain=f"{name} like '{{%}}'",
        cast=f"{name}::jsonb",
        problem=f"""case
            when left({name}, 1) <> '{{' or not internal.input_is_valid({name}, 'jsonb')
                then '{name} is not a JSON object'
        end""",
        value=f"{name}::jsonb",
        json=name,
    )


TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        _time("time"),
        _text("request_id"),
        _uuid("trace_id"),
        _uuid("session_id"),
        _uuid("user_id"),
        _uuid("team_id"),
        _uuid("api_key_id"),
        _text("provider"),
        _text("model"),
        _text("requested_model"),
        _choice(
            "operation",
            "chat",
            "completion",
            "embedding",
            "image",
            "audio",
            "rerank",
            "moderation",
            default="'chat'",
        ),
        _text("application"),
        _text("environment"),
        _text("region"),
        _text("service_tier"),
        _count("input_tokens"),
        _count("cache_read_tokens"),
        _count("cache_write_tokens"),
        _count("output_tokens"),
        _count("reasoning_tokens"),
        _count("audio_input_tokens"),
        _count("audio_output_tokens"),
        _money("cost_amount"),
        _currency("currency"),
        _choice("cost_source", "provider", "computed", "estimated", "unpriced"),
        _uuid("price_id"),
        _choice("status", "success", "error", "blocked", "rate_limited", default="'success'"),
        _text("error_code", 1000),
        _milliseconds("latency_ms"),
        _milliseconds("time_to_first_token_ms"),
        _uuid("policy_id"),
        _choice("policy_decision", "allow", "flag", "block"),
        _object("tags"),
        _object("metadata"),
        _text("source"),
    )
}


def check_targets(mapping: Mapping[str, str], constants: Mapping[str, str]) -> None:
    """Raises GovernanceError unless every target of `mapping` (target → source) and `constants` exists, and once."""
    for name in (*mapping, *constants):
        if name in _NOT_FOR_FILES:
            raise GovernanceError(_NOT_FOR_FILES[name])
        if name not in TARGETS:
            similar = difflib.get_close_matches(name, TARGETS, n=1)
            hint = f"did you mean {similar[0]}? " if similar else ""
            raise GovernanceError(f"there is no target {name}: {hint}the targets are {', '.join(TARGETS)}")
    for name in mapping:
        if name in constants:
            raise GovernanceError(f"{name} is given twice, by --map and by --set: leave one of them out")


def match_columns(
    source: str, header: Sequence[str], mapping: Mapping[str, str], constants: Mapping[str, str]
) -> dict[str, int]:
    """Position of the column for each target that a file with this header fills.

    A column is named by `mapping`, else by the target's own name, unless a constant stands in for it. Raises
    GovernanceError if a mapped or required column is missing, or its name stands in the header twice.
    """
    wanted = {name: name for name in TARGETS if name in header and name not in constants} | dict(mapping)
    has = f"{source} has the columns {_listed(header)}"
    absent = [column for column in wanted.values() if column not in header]
    if absent:
        raise GovernanceError(f"{source} has no column {_listed(absent)}: {has}")
    missing = [name for name in REQUIRED if name not in wanted and name not in constants]
    if missing:
        raise GovernanceError(
            f"nothing in {source} is known to be the {_listed(missing)}: say so with --map {missing[0]}=COLUMN or "
            f"--set {missing[0]}=VALUE ({has})"
        )
    doubled = [column for column in wanted.values() if header.count(column) > 1]
    if doubled:
        raise GovernanceError(f"the header of {source} names {_listed(doubled)} more than once: rename one of them")
    return {name: header.index(wanted[name]) for name in TARGETS if name in wanted}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
