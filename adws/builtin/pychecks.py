"""How much a piece of Python checks: what can be reached, can fail, and is not swallowed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from adws.builtin.skipped import name_of

CHECKING = re.compile(
    r"_*(assert|check|expect|verify|should|ensure|must_|fail$|raises$|warns$|deprecated_call$|approve)", re.I
)
ENDING = frozenset({"skip", "skipTest", "xfail", "exit", "fail"})
SWALLOWED = frozenset({"Exception", "BaseException", "AssertionError"})


def count(body: Sequence[ast.stmt], helpers: frozenset[str] = frozenset()) -> int:
    """The checks in these statements; a call of one of the `helpers` is one too."""
    total = 0
    for statement in body:
        total += _statement(statement, helpers)
        if _ends(statement):
            break
    return total


def _statement(node: ast.stmt, helpers: frozenset[str]) -> int:
    match node:
        case ast.Assert(test=test):
            return 0 if is_always_true(test) else 1
        case ast.If(test=ast.Constant(value=value)) | ast.While(test=ast.Constant(value=value)) if not value:
            return count(node.orelse, helpers)
        case ast.For(iter=ast.List(elts=[]) | ast.Tuple(elts=[])):
            return count(node.orelse, helpers)
        case ast.Try() | ast.TryStar():
            swallowed = any(_swallows(handler, helpers) for handler in node.handlers)
            rest = [
                *(part for handler in node.handlers for part in handler.body),
                *node.orelse,
                *node.finalbody,
            ]
            return (0 if swallowed else count(node.body, helpers)) + sum(
                count([part], helpers) for part in rest
            )
        case ast.With() | ast.AsyncWith():
            if any(_suppresses(item.context_expr) for item in node.items):
                return 0
            return _calls([item.context_expr for item in node.items], helpers) + count(node.body, helpers)
        case ast.Match():
            return sum(count(case.body, helpers) for case in node.cases)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return count(node.body, helpers)
        case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
            head = node.test if isinstance(node, ast.If | ast.While) else node.iter
            return _calls([head], helpers) + count(node.body, helpers) + count(node.orelse, helpers)
    return _calls([node], helpers)


def _calls(nodes: Iterable[ast.AST], helpers: frozenset[str]) -> int:
    calls = (part for node in nodes for part in ast.walk(node) if isinstance(part, ast.Call))
    return sum(_checked(call, helpers) for call in calls)


def _checked(call: ast.Call, helpers: frozenset[str]) -> int:
    """What a call checks: `raises(E, match=...)` is two checks, `self.assertTrue(True)` is none."""
    name = name_of(call.func)
    if not (CHECKING.match(name) or name in helpers):
        return 0
    constant = call.args and all(isinstance(arg, ast.Constant) for arg in call.args)
    if constant and isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "self":
        return 0
    return 1 + any(keyword.arg == "match" for keyword in call.keywords)


def _ends(node: ast.stmt) -> bool:
    """What stands behind it is not reached."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return name_of(node.value.func) in ENDING
    return isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break)


def is_always_true(test: ast.expr) -> bool:
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return bool(elements)
        case ast.Dict(keys=keys):
            return bool(keys)
        case ast.Lambda() | ast.GeneratorExp():
            return True
        case ast.UnaryOp(op=ast.Not(), operand=ast.Constant(value=value)):
            return not value
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(is_always_true, values))
        case ast.BoolOp(op=ast.And(), values=values):
            return all(map(is_always_true, values))
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is() | ast.LtE() | ast.GtE()], comparators=[right]):
            has_calls = any(isinstance(part, ast.Call) for part in ast.walk(left))
            return not has_calls and ast.dump(left) == ast.dump(right)
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id="object")]):
            return True
    return False


def _swallows(handler: ast.ExceptHandler, helpers: frozenset[str]) -> bool:
    """It takes a failed assertion for nothing."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    catches = any(kind is None or name_of(kind) in SWALLOWED for kind in kinds)
    raises = any(isinstance(part, ast.Raise) for statement in handler.body for part in ast.walk(statement))
    return catches and not raises and not count(handler.body, helpers)


def _suppresses(item: ast.expr) -> bool:
    if not isinstance(item, ast.Call) or name_of(item.func) != "suppress":
        return False
    return any(name_of(arg) in SWALLOWED for arg in item.args)
