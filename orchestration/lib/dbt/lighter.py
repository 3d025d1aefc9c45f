"""What dbt does slowly in each node, done quickly with the same result: a third of a build that changes nothing.

tests/unit/test_dbt_lighter.py compares each replacement with what it replaces.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, partialmethod
from typing import Any

_COMMENTS_AND_BLANKS = r"(?:\s|--[^\n]*(?:\n|$)|/\*(?:(?!/\*).)*?\*/)*"
_BEGINS_WITH_CTES = re.compile(rf"{_COMMENTS_AND_BLANKS}with\s+(?:recursive\s+)?", re.IGNORECASE | re.DOTALL)
_MAY_HAVE_CTES = re.compile(r"\bwith\b", re.IGNORECASE)


@contextmanager
def lighter() -> Iterator[None]:
    """While in it, dbt renders and reads nodes with less work."""
    from dbt import compilation
    from dbt.context.macros import MacroNamespaceBuilder
    from dbt.context.manifest import ManifestContext
    from dbt_common.clients import agate_helper

    replacements: list[tuple[Any, str, Any]] = [
        (compilation, "inject_ctes_into_sql", partial(with_ctes, otherwise=compilation.inject_ctes_into_sql)),
        (agate_helper, "build_type_tester", type_tester),
        (MacroNamespaceBuilder, "build_namespace", build_namespace),
        (ManifestContext, "to_dict", partialmethod(context_of, otherwise=ManifestContext.to_dict)),
    ]
    originals = [vars(owner)[name] for owner, name, _ in replacements]
    try:
        for owner, name, replacement in replacements:
            setattr(owner, name, replacement)
        yield
    finally:
        for (owner, name, _), original in zip(replacements, originals, strict=True):
            setattr(owner, name, original)


def with_ctes(sql: str, ctes: Sequence[Any], *, otherwise: Callable[..., str]) -> str:
    """The SQL of a model with those of ephemeral ones before it; dbt would parse all of it to find its first word."""
    if ctes and ";" not in sql:
        if begin := _BEGINS_WITH_CTES.match(sql):
            return f"{sql[: begin.end()]}{', '.join(each.sql for each in ctes)}, {sql[begin.end() :]}"
        if not _MAY_HAVE_CTES.search(sql) and (rest := sql.lstrip()):
            return f"{sql[: -len(rest)]}with{', '.join(each.sql for each in ctes)} {rest}"
    return otherwise(sql, ctes)


def type_tester(text_columns: Iterable[str], string_null_values: Iterable[str] | None = ("null", "")) -> Any:
    """How the columns of an answer are read; dbt would make the parsers of dates anew for each answer."""
    import agate
    from dbt_common.clients.agate_helper import DEFAULT_TYPE_TESTER

    text = agate.data_types.Text(null_values=string_null_values)
    *others, _ = DEFAULT_TYPE_TESTER._possible_types
    return agate.TypeTester(force=dict.fromkeys(text_columns, text), types=[*others, text])


def build_namespace(self: Any, macros_by_package: Mapping[str, Mapping[str, Any]], ctx: dict[str, Any]) -> Any:
    """All macros as a node may call them; dbt would put each into its dictionaries by itself, for each node twice."""
    from dbt.clients.jinja import MacroGenerator
    from dbt.context.macros import MacroNamespace

    node, stack, new = self.node, self.thread_ctx, MacroGenerator.__new__
    for package, macros in macros_by_package.items():
        functions = {}
        for name, macro in macros.items():
            functions[name] = function = new(MacroGenerator)
            function.__dict__ = {"context": ctx, "macro": macro, "node": node, "stack": stack}
        if package in self.internal_package_names:
            self.internal_packages[package] = functions
            continue
        self.packages[package] = functions
        if package == self.search_package:
            self.locals = functions
        elif package == self.root_package:
            self.globals = functions
    of_dbt: dict[str, Any] = {}
    for package in reversed(self.internal_package_names_order):
        of_dbt.update(self.internal_packages.get(package, {}))
    return MacroNamespace(self.globals, self.locals, of_dbt, self.packages)


def context_of(self: Any, *, otherwise: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """What a template knows; dbt would look for each macro in five dictionaries."""
    from dbt.context.configured import ConfiguredContext
    from dbt.context.macros import MacroNamespace

    if not isinstance(self.namespace, MacroNamespace):
        return otherwise(self)
    context: dict[str, Any] = ConfiguredContext.to_dict(self)
    # what is looked at first wins
    for found in reversed(list(self.namespace._search_order())):
        context.update(found)
    return context
