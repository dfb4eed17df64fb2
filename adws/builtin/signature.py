"""Whether a call that was right for one Python signature can be wrong for another."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One that can be given by its place."""

    name: str
    optional: bool
    nameless: bool
    """It stands before a `/`."""


def breaks(old: ast.arguments, new: ast.arguments) -> bool:
    """Annotations and the values of defaults never do."""
    return _by_place(old, new) or _by_name(old, new)


def _by_place(old: ast.arguments, new: ast.arguments) -> bool:
    for was, now in zip_longest(_places(old), _places(new)):
        if was is None:
            if not now.optional and now.name not in _keywords(old):
                return True
        elif now is None:
            return not (new.vararg and was.nameless)
        elif (was.optional and not now.optional) or not _answers(now, was):
            return True
    return bool(old.vararg and not new.vararg)


def _by_name(old: ast.arguments, new: ast.arguments) -> bool:
    was = _keywords(old)
    now = _keywords(new) | {place.name: place.optional for place in _places(new) if not place.nameless}
    if any(name not in now and not new.kwarg for name in was):
        return True
    if any(optional and not now.get(name, True) for name, optional in was.items()):
        return True
    known = was.keys() | {place.name for place in _places(old)}
    asked = {name for name, optional in _keywords(new).items() if not optional}
    return bool(asked - known) or bool(old.kwarg and not new.kwarg)


def _answers(now: Parameter, was: Parameter) -> bool:
    return was.nameless or (now.name == was.name and not now.nameless)


def _places(takes: ast.arguments) -> Sequence[Parameter]:
    named = [*takes.posonlyargs, *takes.args]
    required = len(named) - len(takes.defaults)
    return [
        Parameter(name=arg.arg, optional=at >= required, nameless=at < len(takes.posonlyargs))
        for at, arg in enumerate(named)
    ]


def _keywords(takes: ast.arguments) -> dict[str, bool]:
    """Those that can only be given by name, and whether each is optional."""
    pairs = zip(takes.kwonlyargs, takes.kw_defaults, strict=True)
    return {arg.arg: default is not None for arg, default in pairs}
