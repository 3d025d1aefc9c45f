"""What a source is: how its records become requests, in the words of the columns of core.llm_metrics.

An adapter is a pure function from one record of a source (a line, a span, a row of a table) to one request. It never
raises for what a record says: it says what is wrong in `wrong`, and the request is quarantined with that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

# a record as its file has it: JSON values, their numbers with a fraction as text; of CSV texts only
Said = Mapping[str, object]


class Usage(TypedDict, total=False):
    """A request as an adapter says it: the targets of `orchestration.lib.usage.record`, and three things besides.

    What a source doesn't say is left out or None, and means what an empty value of that target means. Owners of the
    warehouse (`user_id`, `team_id`, `api_key_id`) are never among it: a source has names of its own for them.
    """

    time: str | None
    request_id: str | None
    trace_id: str | None
    session_id: str | None
    provider: str | None
    model: str | None
    requested_model: str | None
    operation: str | None
    application: str | None
    environment: str | None
    region: str | None
    service_tier: str | None
    input_tokens: int | str | None
    cache_read_tokens: int | str | None
    cache_write_tokens: int | str | None
    output_tokens: int | str | None
    reasoning_tokens: int | str | None
    audio_input_tokens: int | str | None
    audio_output_tokens: int | str | None
    cost_amount: str | None
    currency: str | None
    cost_source: str | None
    status: str | None
    error_code: str | None
    latency_ms: str | int | None
    time_to_first_token_ms: str | int | None
    tags: Mapping[str, object] | list[str] | None
    metadata: Mapping[str, object]
    # who it was in the source's own words: user, end_user, team, key, key_name, project, organization
    owner: Mapping[str, str | None]
    # what the records of one request have in common, where a source has several for it
    group: str
    # why it can't be counted, if so
    wrong: list[str]


# the number of a record in its file, and the request that it is
Found = tuple[int, Usage]
Adapter = Callable[[Said], Usage | None]


@dataclass(frozen=True)
class Source:
    """A system that usage comes from.

    `title` says in a line what files it reads, `fills` what of them fills each target. `adapter` makes the function
    that reads one file's records: one to one, or None for a record that is no request. `formats` are those of its
    files, `recognises` tells one by a record (of CSV: by its names, with empty values). Where a line holds several
    records `split` has them, and where several records are one request `fold` joins what the adapter made of them.
    """

    name: str
    title: str
    fills: Mapping[str, str]
    adapter: Callable[[], Adapter]
    recognises: Callable[[Said], bool]
    formats: tuple[str, ...] = ("jsonl",)
    split: Callable[[Any], Iterable[Said]] | None = None
    # decodes a line several times as fast as one that knows nothing of it, for `split`; raises for what is different
    decode: Callable[[str], object] | None = None
    fold: Callable[[Iterator[Found]], Iterator[Found]] | None = None
    # targets that are the same in every request
    always: Mapping[str, str] = field(default_factory=dict)
