"""The engine stays small enough to read in an hour; to raise the number is a decision to write down."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

ENGINE_LIMIT = 1_500
ADWS = Path(__file__).parent.parent / "adws"
_NOT_ENGINE = ("report", "agents", "builtin")


def code_lines(source: str) -> int:
    """Lines that hold code: no blank ones, no comments, no docstrings."""
    skip = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skip:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_code_lines_counts_code_and_nothing_else():
    assert code_lines('"""Doc."""\n\n# why\nx = 1  # c\ny = """a\nb"""\n\n\ndef f():\n    """D."""\n    return 1\n') == 5


def test_the_engine_stays_within_its_limit():
    files = [path for path in ADWS.rglob("*.py") if path.relative_to(ADWS).parts[0] not in _NOT_ENGINE]
    total = sum(code_lines(path.read_text()) for path in files)
    assert 1_000 < total <= ENGINE_LIMIT
