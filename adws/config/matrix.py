"""A phase with a `matrix` -> its shards, which are phases like any other: nothing but the name tells."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adws import agents
from adws.config import values
from adws.config.document import Node
from adws.model import Phase

_MOST = 256
"""Shards of one phase, as in GitHub Actions."""
_LONGEST = 128
"""Characters of all values of a shard; its name is part of the names of files."""
_VALUE = re.compile(r"(?!.*\.lock$)[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")


def read(node: Node, key: str) -> list[dict[str, str]]:
    """The values of each shard by variable, the last variable varying fastest."""
    given = {}
    for name, value in values.entries(node, f"`{key}`"):
        if values.name(name, "a variable", frozenset()) in {*agents.PLACEHOLDERS, *agents.VARIABLES}:
            name.wrong(f"`{name}` already is a placeholder; give the variable another name, such as `py`")
        given[str(name)] = values.texts(value, name, some=True)
        for each in given[str(name)]:
            if not _VALUE.fullmatch(each):
                allowed = "letters, digits and `_`, single `.` and `-` between them, no `.lock` at the end"
                each.wrong(f"{each.shown} cannot be a value of `{name}`: {allowed}")
    if math.prod(map(len, given.values())) > _MOST:
        node.wrong(f"`{key}` makes more than {_MOST} phases of one; leave out some values")
        return []
    found = [dict(zip(given, map(str, each), strict=True)) for each in itertools.product(*given.values())]
    for twice, times in Counter(_name(each).lower() for each in found).most_common(1):
        if times > 1:
            node.wrong(f"`{key}` makes `{twice}` {times} times, in big or small letters; change a value")
        if len(longest := max(map(_name, found), key=len)) > _LONGEST:
            node.wrong(f"`{longest[:20]}...` is longer than {_LONGEST} characters; shorten its values")
    return found


def shard(phase: Phase, matrix: Mapping[str, str]) -> Phase:
    """The phase with these values filled in, and as variables, by which alone a shell gets them."""
    filled = {name: _filled(value, matrix) for name, value in vars(phase).items()}
    env = tuple(sorted({**dict(filled["env"]), **matrix}.items()))
    return replace(phase, **{**filled, "name": f"{phase.name}:{_name(matrix)}", "env": env})


def _filled(value: Any, matrix: Mapping[str, str]) -> Any:
    if isinstance(value, Phase):
        return shard(value, matrix)
    if isinstance(value, tuple):
        return tuple(_filled(each, matrix) for each in value)
    return agents.fill(value, matrix) if isinstance(value, str) else value


def _name(matrix: Mapping[str, str]) -> str:
    return "-".join(matrix.values())
