"""What a load says of a file that loads but looks wrong: columns that fill nothing, seconds as milliseconds."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from shlex import quote

# names that other programs give to what fills a target, in lower case and without blanks, _ . and -; likely ones first
_NAMES: Mapping[str, str] = {
    "time": "timestamp starttime createdat created startedat requesttime datetime date ts",
    "request_id": "callid generationid responseid messageid spanid id",
    "provider": "customllmprovider llmprovider genaiprovidername genaisystem providername vendor",
    "model": "modelname modelid responsemodel genairesponsemodel",
    "user_id": "user enduser enduserid internaluser useremail username",
    "team_id": "team organizationid organization department",
    "api_key_id": "keyid",
    "application": "app appname servicename service",
    "input_tokens": (
        "inputuncachedtokens uncachedinputtokens"
        " prompttokens tokensprompt inputtokencount prompttokencount usageprompttokens usageinputtokens"
        " genaiusageinputtokens tokensin promptunits requesttokens"
    ),
    "output_tokens": (
        "completiontokens tokenscompletion outputtokencount candidatestokencount usagecompletiontokens"
        " usageoutputtokens genaiusageoutputtokens tokensout completionunits responsetokens"
    ),
    "cache_read_tokens": (
        "cachereadinputtokens usagecachereadinputtokens cachedtokens cachedinputtokens inputcachedtokens"
        " prompttokensdetailscachedtokens usageprompttokensdetailscachedtokens nativetokenscached"
    ),
    "cache_write_tokens": "cachecreationinputtokens usagecachecreationinputtokens cachewriteinputtokens",
    "reasoning_tokens": (
        "thoughtstokencount completiontokensdetailsreasoningtokens usagecompletiontokensdetailsreasoningtokens"
        " nativetokensreasoning"
    ),
    "cost_amount": "cost totalcost spend responsecost costusd usagecost calculatedtotalcost charge price amount",
    "currency": "currencycode",
    "status": "requeststatus statuscode",
    "latency_ms": "latency duration durationms responsetime responsetimems elapsedms",
    "time_to_first_token_ms": "ttft ttftms timetofirsttoken firsttokenlatency",
    "tags": "requesttags labels",
}
# many providers count these tokens in another class too
_PARTS_OF = {
    "cache_read_tokens": "input_tokens",
    "cache_write_tokens": "input_tokens",
    "reasoning_tokens": "output_tokens",
}
DURATIONS = ("latency_ms", "time_to_first_token_ms")
# so many durations tell whether they are seconds
_ENOUGH = 3


def alike(target: str, columns: Iterable[str]) -> list[str]:
    """The columns that look like a target, the likeliest first."""
    names = [target.replace("_", ""), *_NAMES.get(target, "").split()]
    places = {_bare(name): place for place, name in reversed(list(enumerate(names)))}
    found = [(places[_bare(column)], place, column) for place, column in enumerate(columns) if _bare(column) in places]
    return [column for _, _, column in sorted(found)]


def option_for(target: str, columns: Iterable[str], otherwise: str = "COLUMN") -> str:
    """The option that has the likeliest of the columns fill a target, as a shell takes it."""
    return f"--map {target}={quote(next(iter(alike(target, columns)), otherwise))}"


def unmapped(columns: Sequence[str], filled: Collection[str]) -> Iterator[str]:
    """A sentence for each target that nothing fills although columns of the file look like it."""
    for target in _NAMES:
        if target not in filled and (found := alike(target, columns)):
            look = "looks" if len(found) == 1 else "look"
            whole = _PARTS_OF.get(target)
            only = f" if {whole} leaves these tokens out, for each is counted once" if whole else ""
            ignoring = " ".join(f"--ignore {quote(column)}" for column in found)
            yield (
                f"nothing fills {target}, but {', '.join(found)} {look} like it: "
                f"add {option_for(target, found)}{only}, or {ignoring} to leave it out"
            )


def seconds(target: str, given: int, short: int) -> str | None:
    """A sentence if most of the `given` durations are fractions below 100 (`short` of them), as seconds are."""
    if given < _ENOUGH or short * 2 <= given:
        return None
    return (
        f"{target} looks like seconds: {short:,} of the first {given:,} values are fractions below 100, and are "
        "loaded as milliseconds; give it in milliseconds, or leave it out with --ignore"
    )


def _bare(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
