"""What dbt does again for each node or macro call, with the same result, tests do once: half of the work of a build.

test_dbt_shortcuts.py compares what is made of the project with plain dbt, which is what users and the tests of its
processes run, but for most of test_dagster.py.
"""

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, lru_cache
from types import CodeType
from typing import Any

import jinja2
from dbt import compilation
from dbt.adapters.postgres.impl import PostgresAdapter
from dbt.clients.jinja import MacroGenerator
from dbt.context.macros import MacroNamespace
from dbt.context.manifest import ManifestContext
from dbt.contracts.graph.manifest import Manifest
from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.clients import agate_helper
from dbt_common.clients import jinja as dbts

_CODES: dict[tuple[type, str], CodeType] = {}


def _compile(environment: Any, source: Any, *args: Any, **options: Any) -> Any:
    """The same text is compiled once: of each test of a kind, of a model and its unit tests."""
    if args or options or not isinstance(source, str):
        return jinja2.Environment.compile(environment, source, *args, **options)
    key = type(environment), source
    if key not in _CODES:
        _CODES[key] = jinja2.Environment.compile(environment, source)
    return _CODES[key]


_make_environment = dbts.get_environment


def _environment(node: Any = None, capture_macros: bool = False, native: bool = False) -> jinja2.Environment:
    return _make_environment(node, capture_macros, native) if capture_macros else _shared_environment(native)


@cache
def _shared_environment(native: bool) -> jinja2.Environment:
    return _make_environment(native=native)


class _Made(dict[str, Any]):
    """Also `get` makes what is missing."""

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


class _Macros(_Made):
    """The macros of a package, each made for a node where the node calls it: of a thousand it calls a few."""

    def __init__(self, known: Mapping[str, Any], bind: Callable[[Any], MacroGenerator]) -> None:
        super().__init__()
        self._known, self._bind = known, bind

    def __missing__(self, name: str) -> Any:
        self[name] = made = self._bind(self._known[name])
        return made

    def __contains__(self, name: object) -> bool:
        return name in self._known or super().__contains__(name)

    def keys(self) -> Any:
        return self._known.keys() | super().keys()


class _Names(_Made):
    """The names that a node may use: its own, and the macros of packages, the nearest first."""

    packages: Sequence[_Macros] = ()

    def __missing__(self, name: str) -> Any:
        for package in self.packages:
            if name in package:
                self[name] = made = package[name]
                return made
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or any(name in package for package in self.packages)

    def keys(self) -> Any:
        return super().keys() | set().union(*(package.keys() for package in self.packages))


def _namespace(maker: Any) -> MacroNamespace:
    maker._ctx = names = _Names()
    builder, found = maker._get_namespace_builder(), maker.manifest.get_macros_by_package()
    node, stack = builder.node, builder.thread_ctx

    def bind(macro: Any) -> MacroGenerator:
        return MacroGenerator(macro, names, node, stack)

    order = builder.internal_package_names_order
    internal = _Macros(ChainMap(*(found[name] for name in order if name in found)), bind)
    packages: dict[str, Any] = {name: _Macros(known, bind) for name, known in found.items() if name not in order}
    none = _Macros({}, bind)
    local = packages.get(builder.search_package, none)
    root = none if builder.search_package == builder.root_package else packages.get(builder.root_package, none)
    return MacroNamespace(root, local, internal, packages)


_make_names = ManifestContext.to_dict


def _names(maker: Any) -> Any:
    """Macros win over what dbt itself calls so."""
    found = maker.namespace
    if not isinstance(found, MacroNamespace):
        return _make_names(maker)  # type: ignore[no-untyped-call]
    names = super(ManifestContext, maker).to_dict()
    own = list(dict.keys(names))
    names.packages = found.local_namespace, found.global_namespace, found.global_project_namespace
    for name in own:
        if any(name in package for package in names.packages):
            del names[name]
    names["dbt"] = found.global_project_namespace
    names.update(found.packages)
    return names


_WITH = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(with(?:\s+recursive)?\b)?", re.IGNORECASE | re.DOTALL)


def _with_ctes(sql: str, ctes: Sequence[Any]) -> str:
    """The query with those before its own: it begins with its own, or has none."""
    if not ctes:
        return sql
    added = ", ".join(each.sql for each in ctes)
    begin = _WITH.match(sql)
    assert begin is not None
    if begin[1]:
        return f"{sql[: begin.end()]}{added}, {sql[begin.end() :]}"
    return f"with{added} {sql}"


_make_type_tester = agate_helper.build_type_tester


def _type_tester(text_columns: Iterable[str], string_null_values: Iterable[str] = ("null", "")) -> Any:
    """What an answer is read with takes longer to make than most answers to read."""
    return _shared_type_tester(frozenset(text_columns), tuple(string_null_values))


@lru_cache(1000)
def _shared_type_tester(text_columns: frozenset[str], string_null_values: tuple[str, ...]) -> Any:
    return _make_type_tester(text_columns, string_null_values)


_make_graph = Manifest.build_flat_graph


def _flat_graph(manifest: Any) -> None:
    """What macros see as `graph`: of its nodes, which are many, those become dicts whose fields are asked for."""
    nodes, manifest.nodes = manifest.nodes, {}
    try:
        _make_graph(manifest)  # type: ignore[no-untyped-call]
    finally:
        manifest.nodes = nodes
    manifest.flat_graph["nodes"] = {name: _Node(node) for name, node in nodes.items()}


class _Node(dict[str, Any]):
    """Macros pass over most nodes by their kind."""

    def __init__(self, node: Any) -> None:
        super().__init__(resource_type=node.resource_type)
        self._node = node

    def __missing__(self, key: str) -> Any:
        # several threads may ask at once
        if (node := self._node) is not None:
            self.update(node.to_dict(omit_none=False))
            self._node = None
        if key in self:
            return self[key]
        raise KeyError(key)


_Ways = list[tuple[Any, str, Any]]
_SHORT: _Ways = [
    (dbts.MacroFuzzEnvironment, "compile", _compile),
    (dbts, "get_environment", _environment),
    (ManifestContext, "_build_namespace", _namespace),
    (ManifestContext, "to_dict", _names),
    # names are looked up in the dict that it gets, not in a copy
    (dbts.NativeSandboxTemplate, "new_context", dbts.MacroFuzzTemplate.new_context),
    (Manifest, "build_flat_graph", _flat_graph),
    (compilation, "inject_ctes_into_sql", _with_ctes),
    (agate_helper, "build_type_tester", _type_tester),
    # a file of diagnostics, for which each node becomes a dict twice
    (compilation.Linker, "get_graph_summary", lambda _linker, _manifest: {}),
    # what a view reads, for materializations that drop what reads theirs: none of ours does
    (PostgresAdapter, "_link_cached_relations", lambda _adapter, _manifest: None),
    # who made a flag, for which each frame below is looked for in all modules: half of what a run of one node takes
    (BehaviorFlagRendered, "_default_source", staticmethod(lambda: "dbt.adapters.base.impl")),
]
_PLAIN: _Ways = [(owner, name, vars(owner).get(name)) for owner, name, _ in _SHORT]


def shortcuts() -> AbstractContextManager[None]:
    """While in it, dbt of this process takes them."""
    return _taking(_SHORT, afterwards=_PLAIN)


def plain_dbt() -> AbstractContextManager[None]:
    """Within shortcuts, dbt as it is."""
    return _taking(_PLAIN, afterwards=_SHORT)


@contextmanager
def _taking(ways: _Ways, *, afterwards: _Ways) -> Iterator[None]:
    _take(ways)
    try:
        yield
    finally:
        _take(afterwards)


def _take(ways: _Ways) -> None:
    for owner, name, way in ways:
        if way is None:
            delattr(owner, name)
        else:
            setattr(owner, name, way)
