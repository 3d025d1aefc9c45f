"""What a usage record can say: the columns of core.llm_metrics that a file may fill, and how each is read in SQL.

A value arrives as text. Nearly every value is plain, so each target has a cheap test for that, which saves it the
full judgement: expensive regular expressions on some twenty columns cost more than the load itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.spellings import SPELLINGS
from orchestration.lib.words import did_you_mean

REQUIRED = ("time", "provider", "model")
_NOT_FOR_FILES = {
    "total_tokens": "total_tokens is the sum of the token classes and can't be loaded: leave it out",
    "ingested_at": "ingested_at is the time of the load and can't be given: leave it out",
    "list_cost_amount": "list_cost_amount follows from our prices: leave it out",
    "computed_cost_amount": "computed_cost_amount follows from our prices: leave it out",
}


@dataclass(frozen=True)
class Target:
    """A column that a file may fill, by SQL expressions over columns that are named as the target.

    The first four are over a text without blanks around it, null where there is none. `plain`: false = look closely,
    true = `cast` reads it, or fails; `flaw`: what is wrong with it, null = nothing; `value`: what it says where there
    is no flaw; `remark`: what is worth noting of a value without a flaw. `json` is over the typed value: its JSON in
    the hash of a row without a request_id, null where it says what an empty value means. `default` is for rows that
    say nothing, None where that is null or decided elsewhere. A flaw refuses the row where the target is `essential`;
    elsewhere the row is loaded without the value, which metadata keeps. Of a value that `may_be_secret` and has a flaw
    only a hash is kept. `together` is a second way to find plain values: a quick test for those that look so, and the
    regular expression of `plain`. Over many values at once it takes a fifth of the time, for what PostgreSQL learns
    about an expression while it matches is forgotten after each value.
    """

    name: str
    plain: str
    cast: str
    flaw: str
    value: str
    json: str
    default: str | None = None
    remark: str = "null::text"
    holds_text: bool = False
    essential: bool = False
    may_be_secret: bool = False
    together: tuple[str, str] | None = None


# a number as programs write it; the exponent is bounded so that numeric can hold what matches
_NUMBER = "^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?0*[0-9]{1,3})?$"
_LONGEST_NUMBER = 400
_UNBOUNDED_NUMBER = "^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$"
_MOST_DECIMALS = 100
_SIGN = "[$€£¥₹₩₽₺₪₫₴₦฿¢]"
# 60 seconds: a leap second ends an hour, in some zones half an hour
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:([0-9]{2}(:[0-5][0-9]([.,][0-9]+)?)?|[25]9:60([.,]0+)?)"
    r"( ?[Zz]| ?[-+][0-9]{2}(:?[0-9]{2})?)?$"
)
_PLAIN_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-5][0-9](?:[.][0-9]+)?(?:Z|[-+][0-9]{2}(?::?[0-9]{2})?)?"
)
# PostgreSQL's own: a hyphen may follow any four digits
_UUID = "([0-9a-f]{4}-?){7}[0-9a-f]{4}"
# \u0000 and halves of surrogate pairs, which jsonb can't hold, behind an even number of backslashes
_NOT_IN_JSONB = (
    r"(?<!\\)((?:\\\\)*)(?:\\u0000|\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
# jsonb keeps 1.0 apart from 1 as a text though they are equal: zeros that end a number's fraction, outside of strings
_ENDING_ZEROS = r'("(?:[^"\\]|\\.)*")|([.][0-9]*[1-9])0+\M|[.]0+\M'


def _lower(text: str) -> str:
    # in every collation the same: in Turkish, lower('I') isn't i
    return f'lower({text} collate "C")'


def _time(name: str) -> Target:
    point = f"replace({name}, ',', '.')"
    write = "write 2026-11-28 10:00:00"
    # Unix time by its digits: seconds, milli-, micro- or nanoseconds, the same years 2001 to 2286 in each
    return Target(
        name,
        plain=f"{name} ~ '^{_PLAIN_TIME}$'",
        together=(f"{name} like '____-__-_____:__:__%'", _PLAIN_TIME),
        cast=f"{name}::timestamptz",
        flaw=f"""case
            when {name} is null then '{name} is missing'
            when {name} ~ '^[0-9]{{1,2}}([./-])[0-9]{{1,2}}\\1[0-9]' then '{name} begins with day or month: {write}'
            when {name} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$' then '{name} is a day without a time of day: {write}'
            when {name} !~ '^([0-9]{{10}}|[0-9]{{13}}|[0-9]{{16}}|[0-9]{{19}})([.][0-9]{{1,9}})?$'
                and not ({name} ~ '{_TIME}' and internal.input_is_valid({point}, 'timestamptz'))
                then '{name} is neither an ISO 8601 timestamp nor a Unix time'
        end""",
        value=f"""case
            when {name} ~ '[^0-9.]' then {point}::timestamptz
            else timestamptz 'epoch' + interval '1 microsecond' * trunc(
                {name}::numeric * power(10::numeric, 16 - length(split_part({name}, '.', 1)))
            )::bigint
        end""",
        json=f"(extract(epoch from {name}) * 1000000)::bigint",
        essential=True,
    )


def _text(name: str, limit: int = 200, default: str | None = None) -> Target:
    missing = f"when {name} is null then '{name} is missing'" if name in REQUIRED else ""
    # model names differ by case with some providers; a provider's own name doesn't
    value = _lower(name) if name == "provider" else name
    return Target(
        name,
        plain=f"length({name}) <= {limit}",
        cast=value,
        flaw=f"case {missing} when length({name}) > {limit} then '{name} is longer than {limit} characters' end",
        value=value,
        json=f"to_json({name})" if default is None else f"to_json(nullif({name}, {default}))",
        default=default,
        holds_text=True,
        essential=name in (*REQUIRED, "request_id"),
    )


def _choice(name: str, *choices: str, default: str | None = None) -> Target:
    quoted = ", ".join(f"'{choice}'" for choice in choices)
    word = f"translate({_lower(name)}, '- ', '__')"
    whens = [f"when {word} = '{choice}' then '{choice}'" for choice in choices]
    whens += [
        f"when {word} in ({', '.join(map(_quoted, spellings))}) then '{choice}'"
        for choice, spellings in SPELLINGS.get(name, {}).items()
    ]
    if name == "status":
        whens += [
            f"when {name} ~ '^429([.]0)?$' then 'rate_limited'",
            f"when {name} ~ '^2[0-9][0-9]([.]0)?$' then 'success'",
            f"when {name} ~ '^[45][0-9][0-9]([.]0)?$' then 'error'",
        ]
    value = f"case {' '.join(whens)} end"
    # a word or a status code: what is named should be few different values, no ids of a wrong column
    shown = f"case when {name} ~ '^([A-Za-z_. -]{{1,30}}|[0-9]{{3}})$' then quote_literal({name}) || ' ' else '' end"
    taken = f", taken as {default}" if default else ""
    return Target(
        name,
        plain=f"{name} in ({quoted})",
        cast=name,
        flaw=f"case when {name} is not null and {value} is null"
        f" then '{name} ' || {shown} || 'is none of {', '.join(choices)}{taken}' end",
        value=value,
        json=f"'\"' || {f'nullif({name}, {_quoted(default)})' if default else name} || '\"'",
        default=default and _quoted(default),
    )


def kept_text(name: str, column: str) -> str:
    """What is kept of a value that can't be read, a text in a column: of what may be a secret only its SHA-256."""
    if not TARGETS[name].may_be_secret:
        return column
    return (
        f"case when {column} ~* '^({_UUID}|[{{]{_UUID}[}}])$' then {column}"
        f" else 'sha256:' || encode(sha256(convert_to({column}, 'UTF8')), 'hex') end"
    )


def _uuid(name: str) -> Target:
    instead = ", so it is looked up as a name" if name in ("user_id", "team_id", "api_key_id") else ""
    return Target(
        name,
        plain=f"length({name}) = 36",
        cast=f"{name}::uuid",
        flaw=f"case when {name} !~* '^({_UUID}|[{{]{_UUID}[}}])$' then '{name} is not a uuid{instead}' end",
        value=f"{name}::uuid",
        json=f"'\"' || {name} || '\"'",
        may_be_secret=name == "api_key_id",
    )


def _count(name: str) -> Target:
    # below 10^12, so that sums over millions of rows stay bigint
    return Target(
        name,
        plain=f"{name} !~ '[^0-9]' and length({name}) <= 12",
        cast=f"{name}::bigint",
        flaw=f"""case
            when case
                when {name} !~ '{_NUMBER}' or length({name}) > {_LONGEST_NUMBER} then true
                else {name}::numeric < 0 or {name}::numeric >= 1e12 or {name}::numeric <> trunc({name}::numeric)
            end then '{name} is not a whole number of 0 or more below 10^12'
        end""",
        value=f"{name}::numeric::bigint",
        json=f"nullif({name}, 0)",
        default="0",
        essential=True,
    )


def _milliseconds(name: str) -> Target:
    return Target(
        name,
        plain=f"{name} !~ '[^0-9]' and length({name}) <= 9",
        cast=f"{name}::integer",
        flaw=f"""case
            when case
                when {name} !~ '{_NUMBER}' or length({name}) > {_LONGEST_NUMBER} then true
                else {name}::numeric < 0 or round({name}::numeric) >= 1e9
            end then '{name} is not a number of milliseconds of 0 or more below 10^9'
        end""",
        value=f"round({name}::numeric)::integer",
        json=name,
    )


def _money(name: str) -> Target:
    number = _UNBOUNDED_NUMBER.strip("^$")
    return Target(
        name,
        plain=f"{name} ~ '^[0-9]+[.]?[0-9]*([eE]-[0-3]?[0-9])?$'"
        f" and (length({name}) <= 12 or length({name}) <= 60 and strpos({name}, '.') between 2 and 13)",
        cast=f"{name}::numeric",
        flaw=f"""case
            when {name} ~ '{_NUMBER}' and length({name}) <= {_LONGEST_NUMBER} then case
                when {name}::numeric < 0
                    then '{name} is negative: a credit or refund is no request, keep it out of usage'
                when {name}::numeric >= 1e12 then '{name} is 10^12 or more'
                when scale(trim_scale({name}::numeric)) > {_MOST_DECIMALS}
                    then '{name} has more than {_MOST_DECIMALS} decimals'
            end
            when {name} ~ '{_UNBOUNDED_NUMBER}'
                then '{name} is not an amount below 10^12 with {_MOST_DECIMALS} decimals at most'
            when {name} ~* '^[-+]?(nan|inf|infinity|∞)$' then '{name} is not a finite number'
            when {_lower(name)} in ('null', '\\n', 'none', 'nil', 'na', 'n/a', '#n/a', 'undefined', '-', '--')
                then '{name} is a word for no value: leave it empty where no cost is known'
            when {name} ~ '[0-9][,_''\u2019\u00a0\u2009\u202f[:space:]][0-9]'
                then '{name} has a comma or a separator of thousands: write 1234.5, or say --decimal'
            when {name} ~ '^([A-Za-z]{{2,3}}|{_SIGN})* ?{number} ?([A-Za-z]{{3}}|{_SIGN})?$'
                then '{name} has more than the number: give the currency as currency'
            when {name} is not null then '{name} is not a number'
        end""",
        value=f"{name}::numeric",
        json=f"trim_scale({name})",
        essential=True,
    )


def _currency(name: str) -> Target:
    return Target(
        name,
        plain=f"length({name}) = 3 and {name} !~ '[^A-Z]'",
        cast=name,
        flaw=f"""case
            when length({name}) <> 3 or {name} ~ '[^A-Za-z]' then '{name} is not a code of three letters'
        end""",
        value=f'upper({name} collate "C")',
        json=f"'\"' || {name} || '\"'",
        essential=True,
    )


def _object(name: str, takes_lists: bool = False) -> Target:
    repaired = (
        f"case when strpos({name}, '\\u') > 0 then regexp_replace({name}, '{_NOT_IN_JSONB}', '\\1\\\\ufffd', 'g')"
        f" else {name} end"
    )
    typed = f"({repaired})::jsonb"
    items = f"case jsonb_typeof({typed}) when 'array' then {typed} end"
    a_list = f"""when 'array' then case
                    when exists (
                        select from jsonb_array_elements({items}) as e
                        where jsonb_typeof(e.value) in ('object', 'array', 'null')
                    ) then '{name} is a list of more than texts'
                end"""
    return Target(
        name,
        plain=f"{name} like '{{%}}'",
        cast=f"{name}::jsonb",
        flaw=f"""case
            when {name} is null or {name} = 'null' then null
            when not internal.input_is_valid({repaired}, 'jsonb') then '{name} is not JSON'
            else case jsonb_typeof({typed})
                when 'object' then null
                {a_list if takes_lists else ""}
                else '{name} is not a JSON object'
            end
        end""",
        value=f"""case jsonb_typeof({typed})
            when 'object' then {typed}
            when 'array' then (
                select jsonb_object_agg(e, true)
                from jsonb_array_elements_text({items}) as e
            )
        end""",  # noqa: S608 - of this module's own words
        json=f"""case
            when {name}::text ~ '[.][0-9]*0\\M'
                then regexp_replace({name}::text, '{_ENDING_ZEROS}', '\\1\\2', 'g')
            else {name}::text
        end""",
        remark=f"case when ({repaired}) <> {name}"
        f" then '{name} has \\u0000 or half a surrogate pair, replaced by \\ufffd' end",
    )


def _quoted(text: str) -> str:
    return f"'{text}'"


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
            default="chat",
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
        _choice("status", "success", "error", "blocked", "rate_limited", default="success"),
        _text("error_code", 1000),
        _milliseconds("latency_ms"),
        _milliseconds("time_to_first_token_ms"),
        _uuid("policy_id"),
        _choice("policy_decision", "allow", "flag", "block"),
        _object("tags", takes_lists=True),
        _object("metadata"),
        _text("source", default="'ingest'"),
    )
}
# the disjoint billable classes, in the order of core.llm_metrics
TOKEN_CLASSES = tuple(name for name in TARGETS if name.endswith("_tokens"))


def check_targets(mapping: Mapping[str, str], constants: Mapping[str, str]) -> None:
    """Raises GovernanceError unless every target of `mapping` (target → source) and `constants` exists, and once."""
    for name in (*mapping, *constants):
        if name in _NOT_FOR_FILES:
            raise GovernanceError(_NOT_FOR_FILES[name])
        if name not in TARGETS:
            hint = did_you_mean(name, TARGETS)
            raise GovernanceError(f"there is no target {name}: {hint}the targets are {', '.join(TARGETS)}")
    if twice := [name for name in mapping if name in constants]:
        raise GovernanceError(f"{twice[0]} is given twice, by --map and by --set: leave one of them out")
