"""The names a source file defines: exact for Python, by one regular expression per family for the others."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

NAME = r"([A-Za-z_$][\w$]*)"
C_WORDS = r"(?!(?:if|for|while|switch|catch|return|else|function|new|await|do|case|throw|sizeof)\b)"
FAMILIES = {
    "py pyi pyx": rf"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+{NAME}",
    "js jsx mjs cjs ts tsx mts cts vue svelte": (
        rf"\b(?:function\*?|class|interface|enum|type|namespace|const|let|var)[ \t]+{NAME}"
        rf"|^[ \t]*(?:[\w$]+\.)+{NAME}[ \t]*=[ \t]*(?:async\b[ \t]*)?(?:function\b|\()"
        rf"|^[ \t]+(?:(?:async|static|get|set|public|private|protected|readonly)[ \t]+)*{C_WORDS}{NAME}"
        r"[ \t]*\([^)\n]{0,200}\)[^;\n]{0,80}\{[ \t]*$"
    ),
    "go": rf"^func[ \t]+(?:\([^)\n]*\)[ \t]*)?{NAME}|^[ \t]*(?:type|const|var)[ \t]+{NAME}",
    "rs": rf"\b(?:fn|struct|enum|trait|type|mod|const|static|union|macro_rules!)[ \t]+{NAME}",
    "rb rake cr": rf"^[ \t]*(?:def|class|module)[ \t]+(?:self\.)?{NAME}",
    "ex exs": rf"^[ \t]*def(?:p|module|macro|macrop|struct)?[ \t]+(?:[\w]+\.)*{NAME}",
    "java kt kts scala cs swift dart php groovy": (
        r"\b(?:class|interface|enum|record|struct|trait|object|protocol|extension|fun|func|function|def|namespace"
        rf"|typealias|val|const)[ \t]+{NAME}"
        r"|^[ \t]+(?:(?:public|private|protected|internal|static|final|abstract|override|async)[ \t]+)+"
        rf"[\w<>\[\],.? ]{{1,80}}[ \t]{NAME}[ \t]*\("
    ),
    "c h cc cpp cxx hh hpp hxx m mm cu": (
        rf"^(?:typedef[ \t]+)?(?:class|struct|union|enum(?:[ \t]+class)?|namespace)[ \t]+{NAME}"
        rf"|^#[ \t]*define[ \t]+{NAME}"
        rf"|^{C_WORDS}[A-Za-z_][\w \t*&:<>,~]{{0,120}}?\b{NAME}[ \t]*\([^;\n]*$"
    ),
    "sh bash zsh ksh": rf"^[ \t]*(?:function[ \t]+)?{NAME}[ \t]*\(\)",
    "lua": rf"\bfunction[ \t]+(?:\w+[.:])*{NAME}",
    "sql": (
        r"(?i:\bcreate[ \t]+(?:or[ \t]+replace[ \t]+)?(?:table|view|function|procedure|type)"
        rf"[ \t]+(?:if[ \t]+not[ \t]+exists[ \t]+)?)(?:\w+\.)?{NAME}"
    ),
    "proto": rf"^[ \t]*(?:message|service|rpc|enum)[ \t]+{NAME}",
}
PATTERNS = {
    suffix: re.compile(pattern, re.MULTILINE)
    for family, pattern in FAMILIES.items()
    for suffix in family.split()
}


def is_source(path: str) -> bool:
    return _pattern(path) is not None


def roughly(path: str, text: str) -> set[str]:
    """The names defined in a file, fast: a regular expression, so also what only looks like a definition."""
    pattern = _pattern(path)
    if pattern is None:
        return set()
    return {name for found in pattern.finditer(text) for name in found.groups() if name}


def exactly(path: str, text: str) -> set[str]:
    """Like `roughly`, but Python is parsed, which also gives `Class.method` and module-level variables."""
    if not path.endswith((".py", ".pyi")):
        return roughly(path, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes are its author's business
            return set(_defined(ast.parse(text).body, ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return roughly(path, text)


def _pattern(path: str) -> re.Pattern[str] | None:
    return PATTERNS.get(PurePosixPath(path).suffix.removeprefix(".").lower())


def _defined(body: list[ast.stmt], within: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from {node.name, within + node.name}
            if isinstance(node, ast.ClassDef):
                yield from _defined(node.body, f"{within}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _defined([n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)], within)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
