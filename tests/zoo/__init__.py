"""Processes that are hard to get rid of, and the means to see whether they are gone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from adws import process
from adws.process import Outcome

KINDS = ("plain", "deaf", "session", "daemon", "stripped", "holder", "stopped", "subreaper", "chaser")


class Zoo:
    """The animals of one test, and everything else with its token in the arguments, which fork hands down."""

    def __init__(self, folder: Path, token: str = "") -> None:
        self.folder = folder
        self.token = token or f"token-{uuid.uuid4().hex}"
        self.log = folder / f"{self.token}.log"  # an argument of the supervisor, which so counts as well

    def __enter__(self) -> Zoo:
        return self

    def __exit__(self, *_: object) -> None:
        while left := self.left():
            for pid in left:
                kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def left(self) -> dict[int, int]:
        """The pids of what is alive, and of their parents; a zombie has no arguments."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.token.encode() in (folder / "cmdline").read_bytes():
                    found[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        return found

    def argv(self, *kinds: str) -> list[str]:
        return [sys.executable, "-I", "-S", str(Path(__file__).with_name("animals.py")), self.token, *kinds]

    def run(
        self, *kinds: str, timeout: float = 60.0, grace: float = 0.3, keep: tuple[int, ...] = ()
    ) -> Outcome:
        return process.run(
            self.argv(*kinds), cwd=self.folder, env={}, log=self.log, timeout=timeout, grace=grace, keep=keep
        )

    def wait_until_open(self) -> None:
        wait_until((self.folder / "ready").exists)

    def supervisors(self, caller: int) -> tuple[int, int]:
        """The guard, and the inner process."""
        parents = self.left()
        guard = next(pid for pid, parent in parents.items() if parent == caller)
        return guard, next(pid for pid, parent in parents.items() if parent == guard)


def kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
