"""What an earlier version recorded is gone on from; what is broken counts as not there, and costs one line at most."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

BUNDLE = Path(__file__).with_name("format-1.bundle")


@pytest.fixture
def earlier(project):
    """A clone with the records of a run of format 1: build and test passed, document failed twice."""
    p = project("phases: {a: {run: x}}")
    where = p.path.parent / "earlier"
    p.git("clone", "--quiet", "--branch", "main", str(BUNDLE), str(where))
    p.path = where
    p.git("fetch", "--quiet", "origin", "refs/adws/*:refs/adws/*")
    p.git("config", "user.name", "Ada")
    p.git("config", "user.email", "ada@example.org")
    del p.env["ISSUE"]
    return p


def test_a_run_of_an_earlier_version_goes_on(earlier):
    said = earlier.adws("sdlc", "ADW_ID=x", status=1)
    assert re.search(r"^build +up to date", said, re.MULTILINE)
    assert re.search(r"^test +up to date", said, re.MULTILINE)
    assert earlier.git("for-each-ref", "refs/adws/x/attempt/document").count("\n") == 3
    earlier.write("pipeline.yaml", earlier.tree("main")["pipeline.yaml"].replace("; test -e allowed", ""))
    said = earlier.adws("sdlc", "ADW_ID=x")
    assert re.search(r"^build +up to date", said, re.MULTILINE)
    assert earlier.tree("adw/x")["d"] == "told"
    assert "is what the records of run x make" in earlier.adws("verify", "adw/x")


def test_a_run_of_a_later_version_is_refused_by_name(earlier):
    message = earlier.git("log", "-1", "--format=%B", "refs/adws/x/run").replace('"format": 1', '"format": 2')
    tree, base = earlier.git("rev-parse", "refs/adws/x/run^{tree}", "refs/adws/x/run^1").split()
    later = earlier.run("git", "commit-tree", tree, "-p", base, stdin=message).strip()
    earlier.git("update-ref", "refs/adws/x/run", later)
    said = earlier.adws("sdlc", "ADW_ID=x", status=3)
    assert "recorded in format 2 by a newer adws, and this one reads 1; update adws" in said
    assert len(said.splitlines()) == 1


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    place = random.Random(len(content)).randrange(len(content) or 1)
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :] if content else b"\4"


def empty(_content: bytes) -> bytes:
    return b""


def junk(_content: bytes) -> bytes:
    return b"[1, {}]\n\0\xff"


FILES = {
    "a record": lambda p: p.path / ".git/refs/adws/x/build",
    "an attempt": lambda p: p.path / ".git/refs/adws/x/attempt/build/1",
    "the record of the run": lambda p: p.path / ".git/refs/adws/x/run",
    "the record of the merge": lambda p: p.path / ".git/refs/adws/x/merge",
    "the lock": lambda p: p.path / ".git/adws/x.lock",
    "the journal": lambda p: p.path / ".git/adws/.merge.journal",
    "the state": lambda p: p.path / ".adws/runs/x/adw_state.json",
    "our index": lambda p: next((p.path.parent / "home/cache/adws").glob("*/0/git/index")),
    "our settings": lambda p: next((p.path.parent / "home/cache/adws").glob("*/0/git/config")),
    "our objects' place": lambda p: next(
        (p.path.parent / "home/cache/adws").glob("*/0/git/objects/info/alternates")
    ),
}


@pytest.mark.parametrize(
    "spoil", [cut, *(pytest.param(f, marks=pytest.mark.slow) for f in (flip, empty, junk))]
)
@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_of_ours_costs_one_line_and_leaves_a_way_on(
    project, name: str, spoil: Callable[[bytes], bytes]
):
    p = project("phases: {build: {run: echo b > b}, test: {needs: build, run: echo t > t}}")
    p.adws("sdlc", "ADW_ID=x")
    path = FILES[name](p)
    if name.endswith("state"):
        path.chmod(0o644)
    path.write_bytes(
        spoil(path.read_bytes() if path.exists() else b'{"checkout": "/", "ref": "refs/heads/main"}')
    )
    p.write(
        "pipeline.yaml",
        "version: 1\nphases: {build: {run: echo again > b}, test: {needs: build, run: echo t > t}}\n",
    )
    said = p.adws("sdlc", "ADW_ID=x", status=None)
    assert "Traceback" not in said
    if p.tree("adw/x")["b"] != "again":
        # without the record of the merge the branch might be anybody's work
        assert name in ("the record of the merge", "the record of the run")
        assert "both changed b; nothing was merged" in said
        p.git("branch", "--delete", "--force", "adw/x")
        p.adws("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["b"] == "again"


def test_all_that_is_beside_the_records_can_be_deleted(project):
    p = project("phases: {build: {run: echo b > b}}")
    p.adws("sdlc", "ADW_ID=x")
    for folder in (p.path / ".adws", p.path / ".git/adws", p.path.parent / "home/cache"):
        shutil.rmtree(folder)
    assert "has it all" in p.adws("sdlc", "ADW_ID=x")
    assert (p.path / ".adws/runs/x/adw_state.json").exists()
