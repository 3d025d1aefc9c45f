"""Parquet: a column for each name, read in portions of rows, so that memory doesn't grow with the file.

Values come as the other formats have them: numbers with a fraction, decimals and times as texts with every digit,
structs and maps as objects. pyarrow is needed, which is installed only where somebody wants it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record
from orchestration.lib.usage.sources import text
from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.columns import match_columns
from orchestration.lib.usage.sources.jsonl import Number, as_json
from orchestration.lib.usage.sources.objects import Read

if TYPE_CHECKING:
    import pyarrow as pa

# a portion: bytes as the file says, and rows at most
_PORTION_BYTES, _PORTION_ROWS = 4 << 20, 4_096
# how deep members of structs have a path of their own, as in JSON Lines
_DEPTH = 4
_INSTALL = (
    "reading Parquet needs pyarrow, which isn't installed: install the extra `parquet` (in a clone: `make parquet`), "
    "or export the file as CSV or JSON Lines"
)


class ParquetRows:
    """The rows of a Parquet file; `names` are its columns, and the members of structs as dotted paths."""

    def __init__(self, path: str, name: str) -> None:
        self._name = name
        try:
            from pyarrow.parquet import ParquetFile
        except ModuleNotFoundError as error:
            raise GovernanceError(_INSTALL) from error
        with self._explained():
            # read ahead it would hold whole row groups
            self._file = ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        self._schema = self._file.schema_arrow
        self.columns: list[str] = list(self._schema.names)
        self.names = [path for field in self._schema for path in _paths(field.name, field.type)]
        # bytes of the portions read so far, and bytes of the row groups before the present one as they are stored
        self.volume = self.done = 0

    def close(self) -> None:
        """Closes the file."""
        self._file.close(force=True)

    def samples(self) -> list[Said]:
        """Its names, for values tell nothing more."""
        return [dict.fromkeys(self.names, "")]

    def said(self) -> Iterator[Read]:
        """Each row with its number, as an object."""
        number = 0
        for batch in self.portions(self.columns):
            values = [_values(column) for column in batch.columns]
            for row in zip(*values, strict=True):
                number += 1
                yield number, None, None, dict(zip(self.columns, row, strict=True))

    def portions(self, columns: Sequence[str]) -> Iterator["pa.RecordBatch"]:
        """Portions of these columns, in the order of the rows."""
        metadata = self._file.metadata
        with self._explained():
            for place in range(metadata.num_row_groups):
                group = metadata.row_group(place)
                rows = max(1, min(_PORTION_ROWS, _PORTION_BYTES * group.num_rows // max(1, group.total_byte_size)))
                for batch in self._file.iter_batches(rows, [place], list(columns), use_threads=False):
                    self.volume += batch.nbytes
                    yield batch
                self.done += sum(group.column(number).total_compressed_size for number in range(group.num_columns))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from pyarrow.lib import ArrowException

        try:
            yield
        except (ArrowException, OSError) as error:
            if isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError):
                raise
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise GovernanceError(f"{self._name} can't be read as Parquet ({said}): export it again") from error


class ParquetSource(text.TextSource):
    """The records of a Parquet file whose columns fill targets."""

    def __init__(
        self,
        rows: ParquetRows,
        source: str,
        mapping: Mapping[str, str],
        constants: Mapping[str, str],
        ignored: Collection[str] = (),
    ) -> None:
        super().__init__()
        columns = match_columns(source, rows.names, mapping, constants, ignored)
        self._rows = rows
        self.constants = dict(constants)
        self.targets = list(columns)
        self.origins = {target: rows.names[position] for target, position in columns.items()}
        self._paths = [_split(path, rows.columns) for path in self.origins.values()]
        used = {column for column, *_ in self._paths}
        self.unused = self.offered = [name for name in rows.columns if name not in used and name not in ignored]

    def records(self) -> Iterator[Record]:
        """Each row with its number from 1 and its values as texts."""
        import pyarrow.compute as pc

        number = 0
        columns = list(dict.fromkeys(column for column, *_ in self._paths))
        for batch in self._rows.portions(columns):
            values = []
            for column, *members in self._paths:
                array = batch.column(columns.index(column))
                values.append(_texts(pc.struct_field(array, members) if members else array))
            for number, row in enumerate(zip(*values, strict=True), number + 1):  # noqa: B020 - it goes on from there
                yield (number, None, None, *row)


def _paths(name: str, kind: "pa.DataType", depth: int = _DEPTH) -> Iterator[str]:
    import pyarrow as pa

    yield name
    if depth > 1 and pa.types.is_struct(kind):
        for field in kind:
            yield from _paths(f"{name}.{field.name}", field.type, depth - 1)


def _split(path: str, columns: Sequence[str]) -> list[str]:
    """The column of a path, and its members; a column may have dots in its own name."""
    if path in columns:
        return [path]
    column = max((name for name in columns if path.startswith(f"{name}.")), key=len)
    return [column, *path[len(column) + 1 :].split(".")]


def _texts(array: "pa.Array") -> Sequence[object]:
    """The values of a column as texts, of what is nested as JSON."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return _listed(pc.cast(array, pa.string()))
    return [value if value is None or isinstance(value, str) else as_json(value) for value in _values(array)]


def _values(array: "pa.Array") -> list[object]:
    """The values of a column as JSON has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types, kind = pa.types, array.type
    if isinstance(kind, pa.BaseExtensionType):
        return [None if v is None else str(v) for v in array.to_pylist()] if _is_uuid(kind) else _values(array.storage)
    if types.is_dictionary(kind):
        return _values(array.dictionary_decode())
    if types.is_struct(kind):
        return _objects(array)
    if types.is_map(kind) or types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _lists(array)
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind):
        return _listed(array)
    if types.is_floating(kind) or types.is_decimal(kind):
        return _listed(pc.cast(array, pa.string()), Number)
    if types.is_timestamp(kind):
        # where there is no zone it is UTC, as in any file
        return _listed(pc.cast(pc.cast(array, pa.timestamp(kind.unit, "UTC")), pa.string()))
    if types.is_duration(kind):
        return [_milliseconds(value) for value in pc.cast(array, pa.duration("us"), safe=False).to_pylist()]
    if types.is_date(kind) or types.is_time(kind):
        return _listed(pc.cast(array, pa.string()))
    # texts, also where they are bytes: what isn't UTF-8 shows when it is encoded again, as in a text file
    return _listed(pc.cast(array, pa.large_binary()), lambda value: value.decode(errors="surrogateescape"))


def _listed(array: "pa.Array", as_what: Callable[[Any], object] | None = None) -> list[object]:
    values = array.to_pylist()
    return values if as_what is None else [None if value is None else as_what(value) for value in values]


def _objects(array: "pa.StructArray") -> list[object]:
    """Structs as objects without the members that say nothing."""
    names = [field.name for field in array.type]
    members = [_values(member) for member in array.flatten()]
    rows = zip(*members, strict=True) if members else ((),) * len(array)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None} if is_there else None
        for is_there, row in zip(array.is_valid().to_pylist(), rows, strict=True)
    ]


def _lists(array: "pa.ListArray | pa.MapArray") -> list[object]:
    """Lists, and maps as objects."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_fixed_size_list(array.type):
        array = pc.cast(array, pa.list_(array.type.value_type))
    ends = array.offsets.to_pylist()
    begin = ends[0]

    def inner(values: "pa.Array") -> list[object]:
        return _values(values.slice(begin, ends[-1] - begin))

    bounds = [(first - begin, last - begin) for first, last in pairwise(ends)]
    if isinstance(array, pa.MapArray):
        keys, items = map(str, inner(array.keys)), inner(array.items)
        pairs = list(zip(keys, items, strict=True))
        found: list[object] = [dict(pairs[first:last]) for first, last in bounds]
    else:
        values = inner(array.values)
        found = [values[first:last] for first, last in bounds]
    return [value if is_there else None for value, is_there in zip(found, array.is_valid().to_pylist(), strict=True)]


def _is_uuid(kind: "pa.BaseExtensionType") -> bool:
    return str(kind.extension_name) == "arrow.uuid"


def _milliseconds(value: timedelta | None) -> str | None:
    return None if value is None else Number(f"{value / timedelta(milliseconds=1):.3f}".rstrip("0").rstrip("."))
