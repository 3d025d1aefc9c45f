"""What PostgreSQL's catalog says about the project's schemas, as plain data, and what differs between two of them.

A catalog is the same for two databases that were built alike: oids, the order of columns, the dates of partitions,
chunks, the ids of jobs and all rows are left out, and names that a server makes up are made alike.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from psycopg.rows import TupleRow

from orchestration.lib.database.connection import Connection, has_relation

SCHEMAS = ("core", "rollups", "reporting", "verification", "internal", "seeds")

Key = tuple[str, str]

# the property that says best what an object is
_TELLING = ("definition", "type", "value", "version", "privileges", "schedule")
_QUERIES = Path(__file__).parent
# what the deparsing functions would otherwise take from the session
_SETTINGS = {
    "search_path": "",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "quote_all_identifiers": "off",
}
# a rollup's view reads rows above its watermark; a constant that a later build may add or move helps the planner
_WATERMARK = r"""\((?:\w+\.)?"?\w+"? >= \( SELECT internal\.rollup_watermark\('[^']*'::text\)[^()]*\)\)"""
_CONSTANT = r""" AND \((?:\w+\.)?"?\w+"? >= '[^']*'::timestamp with time zone\)"""
_BUCKET = r"(?:\w+\.)?bucket"
_STORED = rf"\({_BUCKET} < \( SELECT COALESCE[^=]*= '\w+'::text\)\)\)"
_MADE_UP = [
    (re.compile(r"_materialized_hypertable_\d+"), "_materialized_hypertable"),
    # a later version of a rollup's stored buckets
    (re.compile(r"_stored_\d+"), "_stored"),
    (re.compile(r"(where name = '\w+' and version = )\d+"), r"\1"),
    (re.compile(r"(cagg_watermark|continuous_agg_invalidation_trigger)\('?\d+'?\)"), r"\1()"),
    (re.compile(rf"WHERE \(({_WATERMARK}){_CONSTANT}\)", re.DOTALL), r"WHERE \1"),
    (re.compile(rf"({_WATERMARK}){_CONSTANT}", re.DOTALL), r"\1"),
    (re.compile(rf"\(\({_BUCKET} < '[^']*'::timestamp with time zone\) OR ({_STORED})\)", re.DOTALL), r"\1"),
]


@dataclass(frozen=True)
class CatalogObject:
    """One thing in the catalog: its kind, its name, the thing it is a part of, and its properties in words."""

    kind: str
    name: str
    part_of: str | None
    properties: Mapping[str, str]

    def renamed(self, old: str, new: str) -> "CatalogObject":
        """The same thing of another partition."""
        return CatalogObject(
            self.kind,
            self.name.replace(old, new),
            self.part_of and self.part_of.replace(old, new),
            {name: value.replace(old, new) for name, value in self.properties.items()},
        )


@dataclass(frozen=True)
class Catalog:
    """The objects by kind and name; `partitions` names the table of each native partition with a span of time.

    `owner` is the role that is called "the owner" in them: the one that most tables belong to.
    """

    objects: Mapping[Key, CatalogObject]
    partitions: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""


@dataclass(frozen=True)
class Difference:
    """One difference: `aspect` is the property that differs, None where the whole object is missing or too much.

    `expected` and `found` are its values; None is an object that isn't expected, or isn't there.
    """

    kind: str
    name: str
    aspect: str | None
    expected: str | None
    found: str | None

    @property
    def subject(self) -> str:
        """The object and the aspect of it, as in `column core.users.email, nullability`."""
        return f"{self.kind} {self.name}" + (f", {self.aspect}" if self.aspect else "")

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.kind} {self.name} is missing" + (f": {_one_line(self.expected)}" if self.expected else "")
        if self.expected is None:
            return f"{self.kind} {self.name} is not expected" + (f": {_one_line(self.found)}" if self.found else "")
        expected, found = _first_difference(self.expected, self.found)
        return f"{self.kind} {self.name}: found {self.aspect} {found}, expected {expected}"


def read_catalog(connection: Connection, schemas: Iterable[str] = SCHEMAS) -> Catalog:
    """The catalog of these schemas, and of the database as far as they rely on it; needs no rights but to connect.

    Takes no lock that a writer waits for. Settings of the session are as before when it returns.
    """
    parameters = {"schemas": list(schemas)}
    with connection.transaction(force_rollback=True):
        for name, value in _SETTINGS.items():
            connection.execute("select set_config(%s, %s, true)", [name, value])
        rows = connection.execute(_query("catalog.sql"), parameters).fetchall()
        has_timescaledb = has_relation(connection, "timescaledb_information.hypertables")
        extra = connection.execute(_query("catalog_timescaledb.sql"), parameters).fetchall() if has_timescaledb else []
    objects = {(found.kind, found.name): found for found in _objects(rows)}
    for found in _objects(extra):
        if found.kind == "continuous aggregate":
            # to PostgreSQL it is a view whose text depends on its settings
            view = objects.pop(("view", found.name))
            properties = {**view.properties, **found.properties}
            found = replace(found, properties=properties, part_of=view.part_of)
        objects[found.kind, found.name] = found
    owner = objects.pop(("role", "the owner"), None)
    partitions = {
        found.name: found.properties["partition of"]
        for found in objects.values()
        if "partition of" in found.properties and found.properties["bounds"] != "DEFAULT"
    }
    for key, found in objects.items():
        objects[key] = replace(found, properties={n: v for n, v in found.properties.items() if n != "bounds"})
    return Catalog(objects, partitions, owner.properties["name"] if owner else "")


def compare_catalogs(expected: Catalog, found: Catalog) -> list[Difference]:
    """What differs, sorted; nothing where both are alike.

    Of an object that only one side has, its parts aren't named too. Each native partition that is found is compared
    with one of the same table that is expected: which partitions there are is a matter of dates.
    """
    wanted = fitted(expected, found).objects
    present = {
        key: thing
        for key, thing in found.objects.items()
        if key in wanted or not _is_in_partition_without_template(thing, expected, found)
    }
    lone = {thing.name for key, thing in wanted.items() if key not in present}
    lone |= {thing.name for key, thing in present.items() if key not in wanted}
    differences = []
    for key in wanted.keys() | present.keys():
        mine, theirs = wanted.get(key), present.get(key)
        if mine is None or theirs is None:
            thing = mine or theirs
            assert thing is not None
            if thing.part_of not in lone:
                text = describe(thing)
                differences.append(
                    Difference(thing.kind, thing.name, None, text if mine else None, None if mine else text)
                )
            continue
        for aspect in mine.properties.keys() | theirs.properties.keys():
            pair = mine.properties.get(aspect, "nothing"), theirs.properties.get(aspect, "nothing")
            if pair[0] != pair[1]:
                differences.append(Difference(mine.kind, mine.name, aspect, *pair))
    return sorted(differences, key=lambda d: (d.kind, d.name, d.aspect or ""))


def fitted(expected: Catalog, found: Catalog) -> Catalog:
    """What is expected, with the native partitions that are found in place of those it has."""
    tables = set(expected.partitions.values())
    partitions = {partition: table for partition, table in found.partitions.items() if table in tables}
    return replace(expected, objects=dict(_with_partitions_of(expected, found)), partitions=partitions)


def describe(thing: CatalogObject) -> str:
    """What an object is, in a few words."""
    return next((thing.properties[aspect] for aspect in _TELLING if aspect in thing.properties), "")


def _query(name: str) -> bytes:
    return (_QUERIES / name).read_bytes()


def _objects(rows: list[TupleRow]) -> Iterator[CatalogObject]:
    seen: set[Key] = set()
    for kind, name, part_of, properties in rows:
        name = _alike(name)
        number = 1
        key = (kind, name)
        while key in seen:
            # two jobs of one kind
            number += 1
            key = (kind, f"{name} ({number})")
        seen.add(key)
        values = {
            aspect: _alike(value if isinstance(value, str) else json.dumps(value))
            for aspect, value in properties.items()
            if value is not None
        }
        yield CatalogObject(*key, part_of, values)


# the two that are compared say nearly the same
@lru_cache(100_000)
def _alike(text: str) -> str:
    for pattern, substitute in _MADE_UP:
        text = pattern.sub(substitute, text)
    return text


def _with_partitions_of(expected: Catalog, found: Catalog) -> Iterator[tuple[Key, CatalogObject]]:
    """The expected objects, with the partitions that are found in place of those that are expected."""
    templates = {table: partition for partition, table in expected.partitions.items()}
    parts: dict[str, list[CatalogObject]] = {partition: [] for partition in templates.values()}
    for key, thing in expected.objects.items():
        partition = _partition_of(thing, expected)
        if partition is None:
            yield key, thing
        elif partition in parts:
            parts[partition].append(thing)
    for partition, table in found.partitions.items():
        if template := templates.get(table):
            for thing in parts[template]:
                copy = thing.renamed(_bare(template), _bare(partition))
                yield (copy.kind, copy.name), copy


def _partition_of(thing: CatalogObject, catalog: Catalog) -> str | None:
    for name in (thing.name, thing.part_of):
        if name in catalog.partitions:
            return name
    return None


def _is_in_partition_without_template(thing: CatalogObject, expected: Catalog, found: Catalog) -> bool:
    partition = _partition_of(thing, found)
    return partition is not None and found.partitions[partition] not in expected.partitions.values()


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _first_difference(expected: str, found: str) -> tuple[str, str]:
    """Both values, each on one line; of long texts the first line that differs."""
    if "\n" not in expected.strip() and "\n" not in found.strip():
        return _one_line(expected) or "empty", _one_line(found) or "empty"
    mine, theirs = expected.strip().splitlines(), found.strip().splitlines()
    for number, (left, right) in enumerate(zip(mine, theirs, strict=False), start=1):
        if left != right:
            return _one_line(left) or "empty", f"(line {number}) {_one_line(right) or 'empty'}"
    return f"of {len(mine)} lines", f"of {len(theirs)} lines, or with other space around them"
