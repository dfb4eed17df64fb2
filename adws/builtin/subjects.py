"""What a change took out of the code itself: a test of that has to go with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from adws.builtin import languages, tested
from adws.builtin.delta import File

DEFINED = re.compile(
    r"\b(?:func|fn|def|class|function|interface|type|struct|enum|trait|const|module)\s+(?:\([^)]*\)\s*)?(\w+)"
)
EXPORTED = re.compile(r"\b(?:exports|prototype|\w+)\.(\w+)\s*=\s*(?:async\s+)?(?:function\b|\()")
WORD = re.compile(r"\w{3,}")


def removed(files: Sequence[File]) -> frozenset[str]:
    """Names that the changed code defined and defines no more."""
    code = [file for file in files if not (languages.is_test(file.path) or languages.is_test(file.was))]
    before = frozenset(name for file in code for name in _names(file.was, file.old))
    return before - frozenset(name for file in code for name in _names(file.path, file.new))


def words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text))


def _names(path: str, text: str) -> Iterator[str]:
    tree = tested.python(text) if path.endswith(".py") else None
    if tree is None:
        yield from (found[1] for shape in (DEFINED, EXPORTED) for found in shape.finditer(text))
        return
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
