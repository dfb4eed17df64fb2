"""What takes a Python test out of the run, or lets it fail: where tests usually run, or only elsewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

ALWAYS = frozenset({"skip", "skipTest", "SkipTest", "expectedFailure", "xfail"})
ON_CONDITION = frozenset({"skipif", "skipIf", "skipUnless"})
HERE = re.compile(r"linux|posix", re.IGNORECASE)
UNKNOWN = re.compile(r"environ|getenv|\bCI\b")
NEGATED = re.compile(r"\bnot\b|!=")


def count(marks: Iterable[ast.expr], body: Sequence[ast.stmt]) -> tuple[int, int]:
    """How often decorators and statements say so: (here, only elsewhere)."""
    found = [here for mark in marks for here in _marked(mark)]
    found += [here for statement in body for here in _said(statement, here=True)]
    return found.count(True), found.count(False)


def _marked(mark: ast.expr) -> Iterator[bool]:
    called = set()
    for node in ast.walk(mark):
        name = name_of(node)
        if isinstance(node, ast.Call) and (name := name_of(node.func)) in ALWAYS | ON_CONDITION:
            called.add(node.func)
            condition = node.args[0] if node.args and name not in ("skip", "SkipTest") else None
            yield condition is None or _is_here(condition, unless=name == "skipUnless")
        elif name in ALWAYS and node not in called:
            yield True


def _said(node: ast.AST, *, here: bool) -> Iterator[bool]:
    """`pytest.skip()` and its like among statements; `here`: nothing around them makes it an exception."""
    inside: list[tuple[ast.AST, bool]]
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
            return
        case ast.If(test=test, body=body, orelse=orelse):
            then, otherwise = (here and _is_here(test, unless=unless) for unless in (False, True))
            inside = [*((part, then) for part in body), *((part, otherwise) for part in orelse)]
        case ast.Try() | ast.For() | ast.While() | ast.Match():
            inside = [(part, False) for part in ast.iter_child_nodes(node)]
        case _:
            inside = [(part, here) for part in ast.iter_child_nodes(node)]
    is_call = isinstance(node, ast.Call) and name_of(node.func) in ALWAYS
    if is_call or (isinstance(node, ast.Raise) and node.exc and name_of(node.exc) == "SkipTest"):
        yield here
    for part, still_here in inside:
        yield from _said(part, here=still_here)


def _is_here(condition: ast.expr, *, unless: bool) -> bool:
    """Whether the condition holds, or may hold, where tests usually run: on Linux, with any environment."""
    if isinstance(condition, ast.Constant) and not isinstance(condition.value, str):
        return bool(condition.value) != unless
    said = ast.unparse(condition)
    return bool(UNKNOWN.search(said) or (HERE.search(said) and bool(NEGATED.search(said)) == unless))


def name_of(node: ast.AST) -> str:
    """The last part of a dotted name; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
