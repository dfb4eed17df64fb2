"""The units of a Python test file, as pytest and unittest would collect them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from adws.builtin import pychecks, skipped, tested
from adws.builtin.tested import Unit

Function = ast.FunctionDef | ast.AsyncFunctionDef
MODULE = "<module>"
"""The unit of what stands outside of every function."""


def helpers(text: str) -> frozenset[str]:
    """The functions of a test file that check something for its tests, also by calling each other."""
    tree = tested.python(text)
    bodies = {node.name: node.body for _, node, _ in _functions(tree.body)} if tree else {}
    known: frozenset[str] = frozenset()
    while True:
        found = frozenset(name for name, body in bodies.items() if pychecks.count(body, known))
        if found == known:
            return frozenset(name for name in known if not name.startswith("test"))
        known = found


def units(text: str, helping: frozenset[str]) -> dict[str, Unit] | None:
    """By name; None where the text is no Python."""
    tree = tested.python(text)
    if tree is None:
        return None
    constants = dict(_constants(tree))
    found = {
        name: _unit(name, node, owners, constants, helping) for name, node, owners in _functions(tree.body)
    }
    found[MODULE] = _module(tree, constants, helping)
    return found


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """What the module's names stand for."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))


def _module(tree: ast.Module, constants: Mapping[str, ast.expr], helping: frozenset[str]) -> Unit:
    loose = [node for node in tree.body if not isinstance(node, Function | ast.ClassDef)]
    marks = [constants["pytestmark"]] if "pytestmark" in constants else []
    skips, maybe = skipped.count(marks, [node for node in loose if not isinstance(node, ast.Assign)])
    return Unit(
        name=MODULE,
        own=MODULE,
        line=1,
        is_test=False,
        checks=pychecks.count(loose, helping),
        skips=skips,
        maybe=maybe,
        cases=1,
        body="",
    )


def _functions(
    body: Sequence[ast.stmt], owners: tuple[ast.ClassDef, ...] = ()
) -> Iterator[tuple[str, Function, tuple[ast.ClassDef, ...]]]:
    """(qualified name, function, its classes); of two with one name the last one counts, and comes last."""
    for node in body:
        if isinstance(node, Function):
            yield ".".join([*(owner.name for owner in owners), node.name]), node, owners
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, (*owners, node))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _functions([*node.body, *getattr(node, "orelse", [])], owners)


def _unit(
    name: str,
    node: Function,
    owners: Sequence[ast.ClassDef],
    constants: Mapping[str, ast.expr],
    helping: frozenset[str],
) -> Unit:
    marks = [*node.decorator_list, *(mark for owner in owners for mark in owner.decorator_list)]
    marks = [constants.get(mark.id, mark) if isinstance(mark, ast.Name) else mark for mark in marks]
    skips, maybe = skipped.count(marks, node.body)
    return Unit(
        name=name,
        own=node.name,
        line=node.lineno,
        is_test=node.name.startswith("test") and all(map(_is_collected, owners)),
        checks=pychecks.count(node.body, helping - {node.name}),
        skips=skips,
        maybe=maybe,
        cases=_cases(marks, constants),
        body="\n".join(map(ast.unparse, node.body)),
        is_idle=all(map(_is_idle, node.body)),
    )


def _is_idle(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant()):
            return True
        case ast.Assert(test=test):
            return pychecks.is_always_true(test)
    return False


def _is_collected(owner: ast.ClassDef) -> bool:
    if owner.bases:
        return True
    has_init = any(isinstance(node, Function) and node.name == "__init__" for node in owner.body)
    return owner.name.startswith("Test") and not has_init


def _cases(marks: Sequence[ast.expr], constants: Mapping[str, ast.expr]) -> int | None:
    """The product of the lengths of all `parametrize` lists; None where one is not written out."""
    total = 1
    for mark in marks:
        match mark:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[_, values, *_]):
                if isinstance(values, ast.Name):
                    values = constants.get(values.id, values)
                if not isinstance(values, ast.List | ast.Tuple) or _is_open(values.elts):
                    return None
                total *= len(values.elts)
    return total


def _is_open(elements: Sequence[ast.expr]) -> bool:
    return any(isinstance(element, ast.Starred) for element in elements)
