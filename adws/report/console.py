"""The run on a terminal or in a log: one line per event, and at the end always failures, table, what now."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from adws import runs
from adws.report import state as state_view
from adws.report import summary, text
from adws.report.text import Row
from adws.runs import Run, State


class Console:
    """What has been told so far."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.rows: dict[str, Row] = {}
        self.since: dict[str, float] = {}

    def begin(self, run: Run, state: State) -> None:
        self.begun = time.monotonic()
        base = state.base[:12]
        _say(f"run {run.id} on {base} in {run.repo.root}, {run.pipeline.source}")

    def started(self, name: str) -> None:
        self._event(name, "started")
        self.since[name] = time.monotonic()
        self.rows[name] = Row(name=name, verdict="stopped", seconds=None, produced="")

    def ended(self, name: str, verdict: str, said: str = "") -> None:
        seconds = time.monotonic() - self.since[name] if name in self.since else None
        self.rows[name] = Row(name=name, verdict=verdict, seconds=seconds, produced=said)
        self._event(name, f"{verdict}: {text.one_line(said)}" if said else verdict)

    def finish(self, run: Run, state: State, order: Sequence[str], again: str, stopped: str) -> None:
        """The report on the tasks in `order`; `again` is the command to go on, `stopped` why it ended."""
        state_view.write(runs.folder(run.repo, run.id), state, run.id)
        blank = {name: Row(name=name, verdict="not run", seconds=None, produced="") for name in order}
        rows = [summary.fill(run, state, self.rows.get(name, blank[name])) for name in order]
        parts = [
            "",
            *summary.failures(run, state, rows),
            text.table(rows),
            summary.closing(run, state, rows, again),
        ]
        _say("\n".join([*parts, stopped] if stopped else parts))

    def _event(self, name: str, said: str) -> None:
        _say(f"[{time.monotonic() - self.begun:7.1f}s] {name}: {said}")


def _say(text: str) -> None:
    """Print, flushed: in a pipe everything would come at the end."""
    try:
        print(text, flush=True)
    except OSError:
        # `| head` has read enough, or the disk is full; that is no reason to stop the run
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
