"""What has to be the same after a refusal, and after a run; and how a case is written down."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, Project

_OURS = re.compile(r"\.adws|\.git/(adws|objects|refs/adws|packed-refs|(logs/)?refs/heads/adw)(/|$)")
"""What a run makes in a repository: records, logs, objects, its own branch."""
_VARIANTS = 4
"""How many of a test whose variants have no numbers count as cases."""


def cases(names: str, table: Mapping[str, Any]) -> pytest.MarkDecorator:
    """A test for every entry; its key is `<letter><number in the list>-<what it is>`, and the test's id."""
    return pytest.mark.parametrize(names, list(table.values()), ids=list(table))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests have each case once; its further variants are slow."""
    seen: dict[tuple[str, str], int] = {}
    for item in items:
        function, variant, number = *item.name.partition("[")[::2], re.search(r"\[([A-F]\d+)-", item.name)
        if item.path.is_relative_to(Path(__file__).parent) and variant:
            case = function, number[1] if number else ""
            seen[case] = seen.get(case, 0) + 1
            if seen[case] > (1 if number else _VARIANTS):
                item.add_marker(pytest.mark.slow)


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All there is below a folder: path -> mode and content."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top) / name
            mode = path.lstat().st_mode
            content = os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else b""
            found[str(path.relative_to(folder))] = mode, path.read_bytes() if stat.S_ISREG(mode) else content
    return found


def theirs(p: Project) -> dict[str, tuple[int, bytes]]:
    """All that is the user's: files, index, HEAD, branches, stash, settings, the state of a merge."""
    return {name: what for name, what in everything(p.path).items() if not _OURS.match(name)}


def refuse(p: Project, *args: str, tool: str = "adws", code: int = 3, **more: Any) -> str:
    """What is said about a call that is refused: no traceback, and nothing is created, wherever."""
    before = everything(p.path.parent)
    said: str = getattr(p, tool)(*args, status=code, **more)
    assert "Traceback" not in said
    assert everything(p.path.parent) == before
    return said


def mortal(p: Project) -> Callable[..., str]:
    """`p.adws` without the privileges by which root may read and write everything."""
    if os.geteuid():
        return p.adws
    if not shutil.which("setpriv"):
        pytest.skip("as root every file can be read and written; needs setpriv (util-linux)")
    drop = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
    return lambda *args, **more: p.run(*drop, str(BIN / "adws"), *args, **more)


def green(p: Project, *args: str, **more: Any) -> str:
    """What is said about a call that is accepted: all that is the user's stays as it was."""
    before = theirs(p)
    said = p.adws(*(args or ("sdlc",)), "ADW_ID=x", **more)
    assert "Traceback" not in said
    assert theirs(p) == before
    return said
