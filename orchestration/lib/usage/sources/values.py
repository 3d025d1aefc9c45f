"""What adapters share: values as a source writes them, read without guessing."""

import hashlib
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.record import TOKEN_CLASSES
from orchestration.lib.usage.sources.adapter import Usage
from orchestration.lib.usage.spellings import SPELLINGS

_HEX_ID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}").fullmatch
# as the targets of a file read it: ASCII, and no separators
_NUMBER = re.compile(r"[-+]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][-+]?[0-9]+)?").fullmatch
_LONGEST_NUMBER = 400
# how keys begin that providers and gateways hand out
SECRET = re.compile(r"(sk|pk|rk|gsk|xai|pplx|AIza|hf|Bearer)[-_ A-Z]")
# a number by its decimal mark; its thousands may stand apart, and the first of such groups is none that begins with 0
_MARKED = {
    mark: re.compile(
        rf"(?P<whole>[+-]?(?:[0-9]{{1,30}}|[1-9][0-9]{{0,2}}(?P<group>[{other}'\u2019 \u00a0\u202f])[0-9]{{3}}"
        rf"(?:(?P=group)[0-9]{{3}}){{0,9}}))(?:[{mark}](?P<part>[0-9]{{1,100}}))?(?P<power>[eE][-+]?[0-9]{{1,3}})?"
    ).fullmatch
    for mark, other in ((".", ","), (",", "."))
}
MARKS = tuple(_MARKED)
_EPOCH = date(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
# before the provider's id LiteLLM writes the time for Langfuse
_TIMED_ID = re.compile(r"time-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{6}_")
# a shorter id isn't sure to be the only one: local servers count, or draw three digits
SHORTEST_ID = 20
_LONGEST_ID = 200

# numbers with a fraction stay as they are written
_decode = json.JSONDecoder(parse_float=str, parse_constant=str).decode
_MEANINGS = {
    target: {spelling: choice for choice, spellings in choices.items() for spelling in (choice, *spellings)}
    for target, choices in SPELLINGS.items()
}


def text(value: object) -> str | None:
    """A text or a number as text; None for nothing and for what is no text."""
    if type(value) is str:
        return value or None
    if isinstance(value, str):
        return str(value)
    return str(value) if type(value) is int else None


def first(said: Mapping[str, object], *names: str) -> object:
    """The first of these that is said."""
    for name in names:
        value = said.get(name)
        if value is not None and value != "":
            return value
    return None


def nested(value: object, *path: str) -> object:
    """What an object has at a path, None where it has nothing there."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_object(value: object) -> Mapping[str, object]:
    """An object, also one written as a text of JSON; an empty one for all else."""
    if isinstance(value, str):
        try:
            value = _decode(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """A list, also one written as a text of JSON; an empty one for all else."""
    if isinstance(value, str):
        try:
            value = _decode(value)
        except (ValueError, RecursionError):
            return []
    return value if isinstance(value, list) else []


def id_or_none(value: object) -> str | None:
    """What can be a trace_id or session_id of the warehouse: a uuid, also one without hyphens."""
    if not isinstance(value, str) or not _HEX_ID(value):
        return None
    bare = (value if len(value) == 32 else value.replace("-", "")).lower()
    return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"


def response_id(value: object) -> str | None:
    """The id that the provider gave its response, as whoever saw it knows it; None for one that may come again.

    LiteLLM wraps it: for Langfuse behind the time, and one of OpenAI's responses with where it went, in base64.
    """
    said = text(value)
    if said is None:
        return None
    if said.startswith("time-"):
        said = _TIMED_ID.sub("", said, count=1)
    if said.startswith("resp_bGl0ZWxsbTpj"):
        said = _unwrapped(said)
    return said if SHORTEST_ID <= len(said) <= _LONGEST_ID else None


def _unwrapped(said: str) -> str:
    """litellm:custom_llm_provider:openai;model_id:…;response_id:resp_…"""
    try:
        inner = b64decode(said[5:], validate=True).decode()
    except ValueError:
        return said
    return inner.rpartition(";response_id:")[2] or said


def name_of(own: str | None, response: object, kept: dict[str, object]) -> str | None:
    """What a request is called: by the provider's id where that is known; then `kept` gets the source's own."""
    shared = response_id(response)
    if shared and own and own != shared:
        kept["source_id"] = own
    return shared or own


def meaning(target: str, value: object) -> str | None:
    """The word of the warehouse for a value of `status` or `operation`, else the value as it is."""
    said = text(value)
    if said is None:
        return None
    return _MEANINGS[target].get(said.lower().replace("-", "_").replace(" ", "_"), said)


def looks_secret(said: str) -> bool:
    """Whether it begins as keys do that providers and gateways hand out."""
    return SECRET.match(said) is not None


def key(value: object) -> str | None:
    """What a source calls a key: its id, name or hash. Of what may be the key itself only the SHA-256 is kept."""
    said = text(value)
    if said and looks_secret(said):
        return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()
    return said


def from_nanoseconds(value: object) -> str | None:
    """Unix time in nanoseconds as a timestamp; what is none stays as it is."""
    said = value if type(value) is str else text(value)
    if not said or not (17 < len(said) < 20 and said.isdigit() and said.isascii()):
        return said or None
    days, seconds = divmod(int(said[:-9]), 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    return f"{_day(days)}T{hours:02d}:{minutes:02d}:{seconds:02d}.{said[-9:-3]}Z"


@lru_cache(1024)
def _day(days: int) -> str:
    return str(_EPOCH + timedelta(days))


def from_seconds(seconds: int) -> str:
    """Unix time in seconds as a timestamp."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def milliseconds_between(begin: object, end: object) -> int | None:
    """Between two ISO 8601 timestamps, or two Unix times in nanoseconds; None where that isn't known."""
    started, ended = text(begin), text(end)
    if not started or not ended:
        return None
    if started.isdigit() and ended.isdigit():
        is_known = len(ended) == len(started) == 19 and started.isascii() and ended.isascii()
        return (int(ended) - int(started)) // 1_000_000 if is_known else None
    first, last = _moment(started), _moment(ended)
    if first is None or last is None:
        return None
    if (first.tzinfo is None) != (last.tzinfo is None):
        # where it doesn't say it is UTC
        first, last = (each if each.tzinfo else each.replace(tzinfo=UTC) for each in (first, last))
    passed = round((last - first) / _MILLISECOND)
    return passed if 0 <= passed < 1_000_000_000 else None


def _moment(said: str) -> datetime | None:
    # of what the library reads only a date with hours and minutes
    if said[4:5] != "-" or said[10:11] not in ("T", " ") or said[13:14] != ":":
        return None
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return None


def to_milliseconds(seconds: object) -> str | None:
    """Seconds as milliseconds; what is no number stays as it is."""
    said = text(seconds)
    if said is None:
        return None
    number = as_number(said)
    if number is None or not 0 <= number < 10**6:
        return said
    return str((number * 1000).quantize(Decimal(1), ROUND_HALF_UP))


def whole(value: object) -> int | None:
    """A number of tokens; None for nothing and for what is none."""
    if type(value) is int:
        return value if 0 <= value < 10**12 else None
    if type(value) is str and len(value) <= 12 and value.isascii() and value.isdigit():
        return int(value)
    number = as_number(value) if isinstance(value, str) else None
    if number is None or not 0 <= number < 10**12 or number != number.to_integral_value():
        return None
    return int(number)


def as_number(said: str) -> Decimal | None:
    """A number as programs write it, exactly; None for what is none."""
    said = said.strip()
    if len(said) > _LONGEST_NUMBER or not _NUMBER(said):
        return None
    try:
        return Decimal(said)
    except InvalidOperation:
        # an exponent that nothing can hold
        return None


def is_beside(part: int, total: object, given: object, made: object) -> bool:
    """Whether a source counts a part beside input and output, where others have it in one of them: its total tells.

    xAI has its reasoning tokens there, and Gemini its thoughts.
    """
    numbers = [whole(value) for value in (total, given, made)]
    return part > 0 and None not in numbers and numbers[0] == sum(number or 0 for number in numbers[1:]) + part


def decimal_mark(constants: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """The decimal mark that is said among the constants, one of MARKS, and the other constants."""
    mark = constants.get("decimal")
    if mark is not None and mark not in MARKS:
        raise GovernanceError(f"the decimal mark is {mark[:10]!r}: it is a point or a comma")
    return mark, {name: value for name, value in constants.items() if name != "decimal"}


def with_point(said: str, mark: str) -> str | None:
    """A number whose decimals follow `mark`, one of MARKS, as programs write it; None for what is none."""
    found = _MARKED[mark](said)
    if found is None:
        return None
    whole = re.sub("[^0-9+-]", "", found["whole"])
    return f"{whole}.{found['part']}{found['power'] or ''}" if found["part"] else whole + (found["power"] or "")


def estimate(usage: Usage, said: str | None, *, is_known: bool = False) -> None:
    """What a source reckons that a request cost, in dollars, by a price list of its own; the tokens come first.

    0 is what sources say of a model whose price they don't know: that is no cost of a request that used tokens, unless
    it is known otherwise, or the request failed.
    """
    if said is None:
        return
    # most have a digit that tells
    if not said.upper().partition("E")[0].strip("+-.0") and as_number(said) == 0:
        failed = usage.get("status") in ("error", "blocked", "rate_limited")
        if not failed and not is_known and any(whole(usage.get(name)) for name in TOKEN_CLASSES):
            return
    usage["cost_amount"], usage["cost_source"], usage["currency"] = said, "estimated", "USD"


class Tokens:
    """The token classes of one request, made disjoint.

    `said` are the source's own numbers; one that is no number of tokens goes into the request as it is, and refuses it
    with the reason that every target has for it.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    def take(self, target: str, value: object) -> int:
        """Fills a target with what is said; returns the number, 0 where nothing is said."""
        if value is None or value == "":
            return 0
        number = whole(value)
        if number is None:
            value = _as_said(value)
        elif type(value) is not str or not value.isdigit():
            value = number
        self._usage[target] = value  # type: ignore[literal-required]
        return number or 0

    def part(self, unit: str, value: object, of: str) -> int:
        """Says how many tokens of a class have a price of their own, never more than it has; returns the number."""
        number = min(whole(value) or 0, whole(self._usage.get(of)) or 0)
        self.also(unit, number)
        return number

    def also(self, unit: str, value: object) -> None:
        """Says what is paid for besides the classes of tokens, as our prices know it: `metadata.units`."""
        if not (number := whole(value)):
            return
        metadata = self._usage.get("metadata") or {}
        units = metadata.get("units")
        known = units if isinstance(units, dict) else {}
        self._usage["metadata"] = {**metadata, "units": {**known, unit: number}}

    def less(self, target: str, value: object, parts: Mapping[str, int], what: str = "input tokens") -> None:
        """Fills a target with what is said less its parts, which the source counts in it too."""
        number = 0 if value is None or value == "" else whole(value)
        if number is None:
            self.take(target, value)
            return
        rest = number
        for part in parts.values():
            rest -= part
        self._usage[target] = rest if rest >= 0 else number  # type: ignore[literal-required]
        if rest < 0:
            listed = " and ".join(name for name, part in parts.items() if part)
            self._usage.setdefault("wrong", []).append(
                f"the source contradicts itself: its tokens {listed} are more than its {what}, which include them"
            )


def _as_said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
