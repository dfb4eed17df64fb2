"""`make test-matrix`: all quick tests under every Python, all stories under every git that the machine has.

Not each Python with each git: they meet only in command lines. So a Python runs everything with the git of
PATH, a git runs the stories with the Python of .venv, and tests/stories/test_platforms.py crosses the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nox
from python_discovery import get_interpreter

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

TESTS = ("-q", "-n", "auto", "-m", "platforms or not slow")
OLDEST_GIT, NEWEST_GIT = (2, 38), (2, 54)
"""What we serve, and where today's git begins for us: it has reftable, and hooks can be settings."""


def pythons() -> Iterator[object]:
    """Those that pyproject.toml names, on PATH, uv's, and also what pyenv has but has not switched on."""
    folders = [*map(str, Path.home().glob(".pyenv/versions/*/bin")), *os.get_exec_path()]
    for version in nox.project.python_versions(nox.project.load_toml("pyproject.toml")):
        found = get_interpreter(version, env=os.environ | {"PATH": os.pathsep.join(folders)})
        known = (found.system_executable, found.version_str) if found else (False, version)
        yield nox.param(known[0], id=f"Python {known[1]}")


def gits() -> Iterator[object]:
    """That of PATH, those of GITS (programs, with colons between), and what is missing among them."""
    programs = ["git", *filter(None, os.environ.get("GITS", "").split(os.pathsep))]
    found = {subprocess.check_output([each, "version"], text=True).split()[2]: each for each in programs}
    numbers = {tuple(map(int, version.split(".")[:2])) for version in found}
    yield from (nox.param(program, id=f"git {version}") for version, program in found.items())
    if min(numbers) > OLDEST_GIT:
        yield nox.param("", id="git 2.38")
    if max(numbers) < NEWEST_GIT:
        yield nox.param("", id="git 2.54 or newer")


@nox.session(name="all")
@nox.parametrize("python", list(pythons()))
def everything(session: nox.Session) -> None:
    if not session.python:
        session.skip("install it so that it is on PATH, or with pyenv or uv")
    session.install("-e", ".", "--group", "dev")
    session.run("pytest", *TESTS)


@nox.session(venv_backend="none")
@nox.parametrize("git", list(gits()))
def stories(session: nox.Session, git: str) -> None:
    if not git:
        session.skip("install one and name its program: make test-matrix GITS=/opt/git/bin/git")
    env = {"PATH": f"{Path(git).absolute().parent}{os.pathsep}{os.environ['PATH']}"} if git != "git" else {}
    session.run(sys.executable, "-m", "pytest", *TESTS, "tests/stories", env=env)
