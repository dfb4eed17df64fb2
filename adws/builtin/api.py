"""The public functions, classes and methods of Python sources, and how they differ between two texts."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from adws.builtin import signature

Functions = ast.FunctionDef | ast.AsyncFunctionDef
SPECIAL = frozenset({"__init__", "__call__", "__new__"})
"""The methods with underscores whose signature is the caller's business."""
KINDS = frozenset({"staticmethod", "classmethod", "property"})


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A public name: `kind` is `class`, `def`, `async def`, `property`, ..."""

    kind: str
    text: str
    """Its signature as it is written."""
    takes: ast.arguments | None = None


@dataclass(frozen=True, kw_only=True)
class Module:
    """What a module offers, and every name it binds at its top level, also by import."""

    public: Mapping[str, Definition]
    bound: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One public name that is not what it was; `change` is `added`, `removed` or `changed`."""

    name: str
    change: str
    before: str
    after: str
    breaking: bool


def is_public(path: str) -> bool:
    """A Python module that others import: no tests, no scripts of the build, no part with a leading `_`."""
    parts = PurePosixPath(path).with_suffix("").parts
    if not path.endswith(".py") or {"tests", "test", "docs", "examples", "conftest", "setup"} & set(parts):
        return False
    names = [part for part in parts if part != "__init__"]
    return not any(part.startswith(("_", "test_", ".")) or part.endswith("_test") for part in names)


def module(path: str) -> str:
    """`src/shop/dates.py` -> `shop.dates`."""
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[1:] if parts[0] in ("src", "lib") and len(parts) > 1 else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def read(text: str) -> Module | None:
    """None where the text is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
            bound = frozenset(_bound(body))
            return Module(public=dict(_definitions(body, "", _exported(body))), bound=bound)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def compare(name: str, old: Module, new: Module) -> Iterator[Change]:
    """The changes of module `name`, sorted by name; a class that came or went stands for its methods."""
    for path in sorted({*old.public, *new.public}):
        before, after = old.public.get(path), new.public.get(path)
        owner = path.rpartition(".")[0]
        if owner and not (owner in old.public and owner in new.public):
            continue
        if after is None and before and path not in new.bound:
            yield _change(name, path, "removed", before, None, breaking=True)
        elif before is None and after and path not in old.bound:
            yield _change(name, path, "added", None, after, breaking=False)
        elif before and after and (before.kind, before.text) != (after.kind, after.text):
            yield _change(name, path, "changed", before, after, breaking=_breaks(before, after))


def _change(
    name: str, path: str, change: str, before: Definition | None, after: Definition | None, *, breaking: bool
) -> Change:
    texts = [f"{which.kind} {name}.{which.text}" if which else "" for which in (before, after)]
    return Change(name=f"{name}.{path}", change=change, before=texts[0], after=texts[1], breaking=breaking)


def _definitions(
    body: list[ast.stmt], within: str, exported: frozenset[str] | None
) -> Iterator[tuple[str, Definition]]:
    for node in _flat(body):
        if not isinstance(node, Functions | ast.ClassDef) or not _offered(node, within, exported):
            continue
        path = within + node.name
        if isinstance(node, ast.ClassDef):
            bases = ", ".join(map(ast.unparse, node.bases))
            yield path, Definition(kind="class", text=f"{path}({bases})" if bases else path)
            yield from _definitions(node.body, f"{path}.", None)
        else:
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            text = f"{path}({ast.unparse(node.args)}){returns}"
            yield path, Definition(kind=_kind(node), text=text, takes=node.args)


def _offered(node: Functions | ast.ClassDef, within: str, exported: frozenset[str] | None) -> bool:
    if exported is not None:
        return node.name in exported
    if any(ast.unparse(mark).endswith((".setter", ".deleter")) for mark in node.decorator_list):
        return False  # the property itself stands above it
    name = node.name
    return not name.startswith("_") or bool(within and name in SPECIAL)


def _kind(node: Functions) -> str:
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return next((mark for mark in sorted(marks) if mark in KINDS), word)


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body with those that stand under a condition; the last of one name counts."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _flat([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)])


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    for node in _flat(body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _exported(body: list[ast.stmt]) -> frozenset[str] | None:
    """What `__all__` lists, where it is a plain list."""
    for node in body:
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets):
            try:
                return frozenset(map(str, ast.literal_eval(node.value)))
            except (ValueError, TypeError):
                return None
    return None


def _breaks(before: Definition, after: Definition) -> bool:
    if before.kind != after.kind:
        return True
    return bool(before.takes and after.takes and signature.breaks(before.takes, after.takes))
