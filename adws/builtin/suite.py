"""Which command runs a project's own tests, told from the files of the checkout."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adws.builtin import checkout, command
from adws.errors import UserError

MARKS = frozenset({"pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "pytest.ini", "conftest.py"})
TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|tests?/(.*/)?[^/]+)\.py$")
SHELL = frozenset("&|;<>$`")
UNKNOWN = (
    "no tests were recognised: looked for pytest (pyproject.toml, test_*.py, tests/) and for `node --test` "
    "in package.json; say in pipeline.yaml how they run: `run: [...]` with `evidence: junit.xml`"
)


@dataclass(frozen=True, kw_only=True)
class Suite:
    name: str
    """What a summary calls it."""
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


def detect(root: Path, report: Path, scratch: Path) -> Suite:
    """The suite that leaves its JUnit report at `report`, and what it keeps for itself in `scratch`."""
    listed = checkout.git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    files = os.fsdecode(listed).split("\0")[:-1]
    has_python_tests = any(TEST_FILE.search(name) for name in files)
    node = _node(root, report)
    if has_python_tests or (node is None and not MARKS.isdisjoint(files)):
        return _pytest(root, report, scratch)
    if node is None:
        raise UserError(UNKNOWN)
    return node


def _pytest(root: Path, report: Path, scratch: Path) -> Suite:
    """pytest on the checkout's own code, also where another copy is installed; it leaves nothing behind.

    Its cache is moved, not switched off: without it pytest refuses a project's `--ff` and the like.
    """
    words = ("-m", "pytest", f"--junitxml={report}", "-o", f"cache_dir={scratch / 'pytest'}")
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    env = {
        "PYTHONPATH": os.pathsep.join([*map(str, _sources(root)), *inherited]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COVERAGE_FILE": str(scratch / "coverage"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(scratch / "hypothesis"),
    }
    return Suite(name="pytest", command=(_interpreter(root), *words), env=env)


def _sources(root: Path) -> list[Path]:
    """`src` where it holds packages (and is none itself), and the root: they go before what is installed."""
    src = root / "src"
    holds = not (src / "__init__.py").exists() and (any(src.glob("*.py")) or any(src.glob("*/*.py")))
    return [src, root] if holds else [root]


def _interpreter(root: Path) -> str:
    """The first Python that has pytest: the active environment's, the checkout's, PATH's, our own."""
    return next((python for python in _pythons(root) if _has_pytest(python)), sys.executable)


def _pythons(root: Path) -> Iterator[str]:
    active = os.environ.get("VIRTUAL_ENV")
    for place in ([Path(active)] if active else []) + [root / ".venv", root / "venv"]:
        yield str(place / "bin" / "python")
    yield from filter(None, map(shutil.which, ("python3", "python")))


def _has_pytest(python: str) -> bool:
    with contextlib.suppress(UserError):
        return command.output([python, "-c", "import pytest"], Path("/"))[0] == 0
    return False


def _node(root: Path, report: Path) -> Suite | None:
    """Node's own runner as `npm test` calls it, with a JUnit report added."""
    words = _test_script(root)
    is_node = words[:1] == ["node"] and "--test" in words and not SHELL & set("".join(words))
    if not is_node or not shutil.which("node"):
        return None
    ours = (
        *("--test-reporter=spec", "--test-reporter-destination=stdout"),
        *("--test-reporter=junit", f"--test-reporter-destination={report}"),
    )
    return Suite(name="node --test", command=("node", *ours, *_globbed(root, words[1:])))


def _test_script(root: Path) -> list[str]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return shlex.split(json.loads((root / "package.json").read_bytes())["scripts"]["test"])
    return []


def _globbed(root: Path, words: Sequence[str]) -> Iterator[str]:
    """The words as a shell would give them: patterns of files as the files."""
    for word in words:
        is_pattern = set("*?[") & set(word) and not word.startswith(("-", "/"))
        found = sorted(str(path.relative_to(root)) for path in root.glob(word)) if is_pattern else []
        yield from found or [word]
