"""Runs without a pause in one repository, while something goes wrong there every second.

    python -m tests.faults.soak --minutes 30

Two runs at a time; the same command until it ends with 0. Meanwhile one process of theirs after the other is
killed with -9 or stopped, at random, and the user commits, collects garbage and cleans up. In the end it says
what was lost or left behind; all of that has to be 0.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import BIN
from tests.faults.templates import PIPELINE, Project, scratch

AT_ONCE = 2
TRIES = 30
"""How often a run may be disturbed before it counts as one that cannot be finished."""
ALIVE = 12.0
"""Seconds that a process may outlive the last run: the grace period and two more."""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Soak:
    """What happened so far."""

    def __init__(self, root: Path, seed: int) -> None:
        self.project = Project(root)
        self.random = random.Random(seed)
        self.over = threading.Event()
        self.numbers = itertools.count()
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        for name in ("repo", "home", "tmp"):
            (root / name).mkdir()
        (root / "issue.md").write_text("# Do it\n")
        self.project.git("init", "--quiet", "--initial-branch", "main", "--template=")
        self.project.git("config", "user.name", "Ada")
        self.project.git("config", "user.email", "ada@example.org")
        for name in ("code", "old"):
            (self.project.repo / name).write_text(f"{name}\n")
        (self.project.repo / "pipeline.yaml").write_text(PIPELINE)
        self.project.commit("start")

    def runs(self) -> None:
        while not self.over.is_set():
            self.run(f"s{next(self.numbers)}")

    def run(self, adw_id: str) -> None:
        """The same command again and again; what has passed once has to stay as it is."""
        passed: dict[str, str] = {}
        for _ in range(TRIES):
            done = subprocess.run(
                [BIN / "adws", "-n", "3", "sdlc", f"ADW_ID={adw_id}", "ISSUE=../issue.md"],
                cwd=self.project.repo, env=self.project.env, capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            self.counts[f"calls that ended with {done.returncode}"] += 1
            if "Traceback" in done.stdout + done.stderr:
                self.wrong.append(f"{adw_id}: a traceback: {(done.stdout + done.stderr)[-2000:]}")
            now = self.passed(adw_id)
            if lost := {name for name, commit in passed.items() if now.get(name) != commit}:
                self.wrong.append(f"{adw_id}: lost {', '.join(sorted(lost))}")
            passed = now
            if done.returncode == 0:
                self.counts["runs finished"] += 1
                self.counts["results"] += len(passed)
                self.look_at(adw_id)
                return
        self.wrong.append(f"{adw_id}: not finished after {TRIES} calls: {done.stdout[-1000:]}{done.stderr}")

    def passed(self, adw_id: str) -> dict[str, str]:
        """Each passed phase's commit."""
        shape = "--format=%(objectname)%00%(contents:body)%01"
        found = self.project.git("for-each-ref", shape, *(f"refs/adws/{adw_id}/{name}" for name in "abc"))
        records = [each.strip().split("\0") for each in found.split("\1") if each.strip()]
        facts = {commit: json.loads(body) for commit, body in records}
        return {about["phase"]: commit for commit, about in facts.items() if about["status"] == "passed"}

    def look_at(self, adw_id: str) -> None:
        base = self.project.git("log", "-1", "--format=%(trailers:key=Adws-Base,valueonly)", f"adw/{adw_id}")
        changed = self.project.git("diff", "--name-status", base, f"adw/{adw_id}").split()
        if changed != ["A", "b", "A", "c", "M", "code", "D", "old"]:
            self.wrong.append(f"{adw_id}: the commit changes {changed}")

    def chaos(self) -> None:
        """Something goes wrong, or the user does something, about every second."""
        while not self.over.wait(self.random.uniform(0.1, 1.5)):
            what = self.random.choice(("kill", "kill", "kill", "kill", "commit", "gc", "clean"))
            if what == "kill":
                self.strike()
            else:
                self.counts[what] += 1
                getattr(self, what)()

    def strike(self) -> None:
        if alive := list(self.alive()):
            number = self.random.choice(SIGNALS)
            self.counts[number.name] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(alive), number)

    def commit(self) -> None:
        (self.project.repo / "notes").write_text(str(self.random.random()))
        self.project.git("add", "notes")
        self.project.git("commit", "--quiet", "--message", "of the user")

    def gc(self) -> None:
        self.project.git("-c", "gc.pruneExpire=now", "gc", "--quiet", ok=(0, 128))

    def clean(self) -> None:
        argv = [BIN / "adws", "clean", "--older-than", "1m"]
        done = subprocess.run(
            argv, cwd=self.project.repo, env=self.project.env, capture_output=True, text=True, timeout=300
        )
        if "Traceback" in done.stdout + done.stderr:
            self.wrong.append(f"clean: {done.stderr}")

    def alive(self) -> Iterator[int]:
        """The pids of what the runs started, by the home that all of it was given; not what looks at them."""
        ours = f" {os.getpid()} "
        mark = f"XDG_CACHE_HOME={self.project.root}/".encode(), f"{self.project.root}/home/cache".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                said = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                looks = said.startswith(b"git\0") and ours in (folder / "stat").read_text()
                if any(each in said for each in mark) and not looks:
                    yield int(folder.name)

    def left(self) -> Iterator[tuple[str, int]]:
        """What is there that should not be, once nobody works any more."""
        until = time.monotonic() + ALIVE
        while (alive := list(self.alive())) and time.monotonic() < until:
            time.sleep(0.1)
        yield "processes", len(alive)
        git_dir = self.project.git_dir
        ours = [path for path in git_dir.rglob("*.lock") if path.parent != git_dir / "adws"]
        yield "locks of git", len(ours)
        yield "journals", len(list((git_dir / "adws").glob("*journal*")))
        yield "temporary files", len(list((self.project.root / "tmp").iterdir()))
        pools = self.project.root / "home/cache/adws"
        slots = [path for path in pools.glob("*/[0-9]*") if path.parent.name != "slots"]
        # a phase's own workspace, the merge's that judges again, for each run at once
        yield "workspaces beyond those that can be in use at once", max(0, len(slots) - 4 * AT_ONCE)
        said = self.project.git("fsck", "--no-dangling", "--no-progress", ok=tuple(range(256)))
        yield "faults that fsck finds", len(said.splitlines())


def main() -> int:
    """The command line; 1 when something was lost or left."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="adws-soak-", dir=scratch()) as name:
        soak = Soak(Path(name), asked.seed)
        at_work = [threading.Thread(target=soak.runs) for _ in range(AT_ONCE)]
        chaos = threading.Thread(target=soak.chaos)
        for thread in (*at_work, chaos):
            thread.start()
        chaos.join(asked.minutes * 60)
        soak.over.set()
        for thread in (*at_work, chaos):
            thread.join()
        left = dict(soak.left())
    for what, count in (
        *sorted(soak.counts.items()),
        *left.items(),
        ("results lost, and other faults", len(soak.wrong)),
    ):
        print(f"{count:>7}  {what}")
    print("\n".join(soak.wrong))
    return 1 if soak.wrong or any(left.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
