"""The public names of Python sources, and how they differ between two versions: as griffe reads them."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import griffe

SPECIAL = frozenset({"__init__", "__call__", "__new__"})
"""The methods with underscores whose signature is the caller's business."""
APART = frozenset({"tests", "test", "docs", "examples", "conftest", "setup"})
VARIABLE = re.compile(r"([\w.]+\.)?(TypeVar|ParamSpec|TypeVarTuple)\(")
"""What stands for a type, at home."""
NO_BASE = re.compile(r"object|(\w+\.)*(Generic|Protocol)\b.*")
"""Nobody misses it among the bases: it came or went with a way to write types."""
METHODS = frozenset({"staticmethod", "classmethod"})
VARIADIC = frozenset({griffe.ParameterKind.var_positional, griffe.ParameterKind.var_keyword})

Member = griffe.Object | griffe.Alias


@dataclass(frozen=True, kw_only=True)
class Change:
    """One public name that is not what it was; `change` is `added`, `removed` or `changed`."""

    name: str
    change: str
    before: str
    after: str
    breaking: bool


@dataclass(frozen=True, kw_only=True)
class _Told:
    """A member as a reader is told of it."""

    kind: str
    """`class`, `def`, `async def`, `property`, ...; empty for a value and for a name from elsewhere."""
    text: str
    target: griffe.Object | None
    """None where its text does not tell what it is."""


def is_read(path: str) -> bool:
    """A Python file that can be a part of what others import: no tests, no scripts of the build."""
    parts = PurePosixPath(path).with_suffix("").parts
    if not path.endswith(".py") or APART & set(parts):
        return False
    return not any(part.startswith(("test_", ".")) or part.endswith("_test") for part in parts)


def is_public(path: str) -> bool:
    """One that others import by its name: no part of it has a leading `_`."""
    names = [part for part in PurePosixPath(path).with_suffix("").parts if part != "__init__"]
    return is_read(path) and not any(name.startswith("_") for name in names)


def module(path: str) -> str:
    """`src/shop/dates.py` -> `shop.dates`."""
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[1:] if parts[0] in ("src", "lib") and len(parts) > 1 else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """The changes of the API between two sets of sources by path, sorted by name.

    What is not given on one side offers nothing there; what is not Python on one side is not compared.
    """
    nothing = dict.fromkeys((*old, *new), "")
    was, now = (_read(_by_name(nothing) | _by_name(side)) for side in (old, new))
    public = {module(path) for path in {*old, *new} if is_public(path)}
    both = public & was.keys() & now.keys()
    found = (change for name in both for change in _members(was[name], now[name]))
    return sorted(found, key=lambda change: change.name)


def _by_name(texts: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {module(path): (path, text) for path, text in texts.items() if is_read(path)}


def _read(texts: Mapping[str, tuple[str, str]]) -> dict[str, griffe.Module]:
    """The modules by name, put together as packages, so that what they import of each other is known."""
    logging.getLogger("griffe").addHandler(logging.NullHandler())  # else what it cannot read goes to stderr
    found: dict[str, griffe.Module] = {}
    known = griffe.ModulesCollection()
    for full, (path, text) in sorted(texts.items()):  # packages before what is in them
        *above, name = full.split(".")
        parent = None
        for part in above:
            parent = _package(known, parent, part)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the project's strings escape is not our concern
                read = griffe.visit(name, Path(path), text, parent=parent, modules_collection=known)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        (parent or known).set_member(name, read)
        found[full] = read
    loader = griffe.GriffeLoader(modules_collection=known)
    for top in known.members.values():
        loader.expand_exports(top)
        loader.expand_wildcards(top, external=False)
        griffe.DataclassesExtension().on_package(pkg=top)
    return found


def _package(known: griffe.ModulesCollection, parent: griffe.Module | None, name: str) -> griffe.Module:
    place = parent or known
    found = place.members.get(name)
    if not isinstance(found, griffe.Module):
        found = griffe.Module(name, parent=parent, modules_collection=known)
        place.set_member(name, found)
    return found


def _members(was: Member, now: Member) -> Iterator[Change]:
    """The changes in a module or a class; a class that came or went stands for what is in it."""
    before, after = was.all_members, now.all_members
    for name in {*was.members, *now.members}:
        pair = [member for member in (before.get(name), after.get(name)) if member is not None]
        if not any(map(_is_offered, pair)) or any(isinstance(member, griffe.Module) for member in pair):
            continue
        path = f"{was.path}.{name}"
        if len(pair) == 2:
            yield from _differ(path, *pair)
        elif name in before:
            text = _told(before[name], path).text
            yield Change(name=path, change="removed", before=text, after="", breaking=True)
        else:
            text = _told(after[name], path).text
            yield Change(name=path, change="added", before="", after=text, breaking=False)


def _differ(path: str, was: Member, now: Member) -> Iterator[Change]:
    old, new = _told(was, path), _told(now, path)
    if old.target is None or new.target is None:
        return
    is_alias = isinstance(was, griffe.Alias) and isinstance(now, griffe.Alias)
    if is_alias and not re.search(r"(^|\.)_", new.target.module.path):
        return  # told where it is defined
    if old.text != new.text:
        breaking = _breaks(old, new)
        yield Change(name=path, change="changed", before=old.text, after=new.text, breaking=breaking)
    if old.kind == new.kind == "class":
        yield from _members(was, now)


def _is_offered(member: Member) -> bool:
    if isinstance(member, griffe.Attribute) and VARIABLE.match(str(member.value)):
        return False
    is_named = not member.name.startswith("_") or member.name in SPECIAL or member.is_exported
    return is_named and member.is_public


def _told(member: Member, path: str) -> _Told:
    try:
        target = member.final_target if isinstance(member, griffe.Alias) else member
    except griffe.GriffeError:  # it is imported from elsewhere
        return _Told(kind="", text=path, target=None)
    kind, text = "", path
    match target:
        case griffe.Function():
            kind = "async def" if "async" in target.labels else "def"
            kind = next(iter(sorted(METHODS & target.labels)), kind)
            plain = griffe.Function(path, parameters=target.parameters, returns=target.returns)
            text = plain.signature()  # as a method's, it would lack `self`
        case griffe.Class():
            kind = "class"
            text += f"({', '.join(map(str, target.bases))})" if target.bases else ""
        case griffe.Attribute() if "property" in target.labels:
            kind = "property"
            text += f" -> {target.annotation}" if target.annotation else ""
        case griffe.Attribute() if not isinstance(target.value, str):
            return _Told(kind="", text=path, target=None)  # no constant: it may be called like a `def`
    return _Told(kind=kind, text=f"{kind} {text}".strip(), target=target)


def _breaks(old: _Told, new: _Told) -> bool:
    """griffe's word; but no caller minds another default, nor another name where none can be given."""
    if old.kind != new.kind:
        return not {old.kind, new.kind} <= {"", "property"}
    sides = []
    for target, like in ((old.target, new.target), (new.target, new.target)):
        side = griffe.Module("m")
        if isinstance(target, griffe.Function) and isinstance(like, griffe.Function):
            takes = griffe.Parameters(*_parameters(target, like))
            side.set_member("f", griffe.Function("f", parameters=takes))
        elif isinstance(target, griffe.Class):
            bases = [str(base) for base in target.bases if not NO_BASE.fullmatch(str(base))]
            side.set_member("f", griffe.Class("f", bases=bases))
        sides.append(side)
    kinds = {breakage.kind for breakage in griffe.find_breaking_changes(*sides)}
    return bool(kinds - {griffe.BreakageKind.PARAMETER_CHANGED_DEFAULT})


def _parameters(takes: griffe.Function, like: griffe.Function) -> Iterator[griffe.Parameter]:
    """With the names of `like` where no caller gives one: before a `/`, behind a `*`."""
    for at, one in enumerate(takes.parameters):
        name = one.name
        if one.kind in VARIADIC:
            name = one.kind.value
        elif one.kind is griffe.ParameterKind.positional_only and at < len(like.parameters):
            name = like.parameters[at].name
        yield griffe.Parameter(name, kind=one.kind, default=one.default)
