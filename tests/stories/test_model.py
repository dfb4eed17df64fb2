"""Whatever happens to a run in whatever order, the next undisturbed call brings it to its one right end."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.conftest import BIN, TOP, Project

PHASES = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
STEPS = "{ head -1 $ADW_ISSUE; sleep 0.05; } > NAME; echo ran >> $HOME/ran-$ADW_ID-NAME"
IDS = st.sampled_from(["x", "y"])


class Runs(RuleBasedStateMachine):
    """Two runs in one repository, and all that people and machines do to them."""

    @initialize()
    def begin(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="adws-model-"))
        self.p = p = Project(self.top / "repo", self.top / "home")
        p.path.mkdir()
        (self.top / "home").mkdir()
        p.git("init", "--quiet", "--initial-branch", "main")
        p.git("config", "user.name", "Ada")
        p.git("config", "user.email", "ada@example.org")
        phases = (
            f"  {name}: {{needs: {needs}, run: '{STEPS.replace('NAME', name)}'}}\n"
            for name, needs in PHASES.items()
        )
        p.write("pipeline.yaml", f"version: 1\nphases:\n{''.join(phases)}")
        shutil.copy(TOP / "dodo.py", p.path / "dodo.py")
        p.commit("start")
        self.count = itertools.count(1)
        self.head = p.git("rev-parse", "HEAD")
        self.issues = dict.fromkeys(("x", "y"), 0)
        self.bases: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "top"):
            shutil.rmtree(self.top)

    def start(self, adw_id: str) -> subprocess.Popen[str]:
        issue = self.top / "issue.md"
        issue.write_text(f"issue {self.issues[adw_id]}\n")
        return subprocess.Popen(
            [BIN / "doit", "-n", "2", "sdlc", f"ADW_ID={adw_id}", f"ISSUE={issue}"],
            cwd=self.p.path, env=self.p.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def done(self, adw_id: str) -> dict[str, int]:
        """How often each phase that has a result for this issue was begun."""
        said = self.p.doit(
            "list", "--status", f"ADW_ID={adw_id}", f"ISSUE={self.top / 'issue.md'}", status=None
        )
        done = [line.split()[1] for line in said.splitlines() if line.startswith("U ")]
        return {name: self.ran(adw_id, name) for name in PHASES if name in done}

    def ran(self, adw_id: str, name: str) -> int:
        path = self.top / f"home/ran-{adw_id}-{name}"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @rule(adw_id=IDS)
    def run(self, adw_id: str) -> None:
        (self.top / "issue.md").write_text(f"issue {self.issues[adw_id]}\n")
        before = self.done(adw_id)
        said, _ = (running := self.start(adw_id)).communicate(timeout=100)
        assert running.returncode == 0, said
        for name, times in before.items():
            assert self.ran(adw_id, name) == times, f"{name} was done already\n{said}"
        base = self.p.git("rev-parse", f"refs/adws/{adw_id}/run^1")
        assert self.bases.setdefault(adw_id, base) == base
        expected = self.p.tree(base) | dict.fromkeys(PHASES, f"issue {self.issues[adw_id]}")
        assert self.p.tree(f"adw/{adw_id}") == expected, said
        assert "make" in self.p.adws("verify", f"adw/{adw_id}")

    @rule(
        adw_id=IDS,
        after=st.floats(0.05, 1.2),
        number=st.sampled_from([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]),
    )
    def stop(self, adw_id: str, after: float, number: signal.Signals) -> None:
        running = self.start(adw_id)
        time.sleep(after)
        running.send_signal(number)
        said, _ = running.communicate(timeout=60)
        # in the first moments, before doit has imported us, a KeyboardInterrupt is Python's own affair
        assert "Traceback" not in said or f"run {adw_id} on" not in said, said
        until = time.monotonic() + 12
        while left := subprocess.run(["pgrep", "-f", str(self.top)], capture_output=True, text=True).stdout:
            assert time.monotonic() < until, left
            time.sleep(0.05)

    @rule(adw_id=IDS)
    def ask_something_else(self, adw_id: str) -> None:
        self.issues[adw_id] = next(self.count)

    @rule()
    def commit(self) -> None:
        self.p.write(f"mine-{next(self.count)}", "mine\n")
        self.p.commit()
        self.head = self.p.git("rev-parse", "HEAD")

    @rule()
    def collect_garbage(self) -> None:
        self.p.git("gc", "--quiet", "--prune=now")

    @rule(adw_id=IDS)
    def delete_branch(self, adw_id: str) -> None:
        self.p.run("git", "branch", "--delete", "--force", f"adw/{adw_id}", status=None)

    @rule()
    def lose_logs(self) -> None:
        shutil.rmtree(self.p.path / ".adws", ignore_errors=True)

    @rule()
    def lose_workspaces(self) -> None:
        shutil.rmtree(self.top / "home/cache", ignore_errors=True)

    @invariant()
    def nothing_of_the_user_is_touched(self) -> None:
        if hasattr(self, "p"):
            assert self.p.git("rev-parse", "HEAD", "main") == f"{self.head}\n{self.head}"
            assert self.p.git("status", "--porcelain") == ""
            assert self.p.git("fsck", "--connectivity-only", "--no-dangling") == ""


@pytest.mark.parametrize(
    "examples", [1, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_every_history_ends_right(examples: int) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    steps = int(os.environ.get("STEPS", "10"))
    told = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=quiet
    )
    run_state_machine_as_test(Runs, settings=told)
