"""A conflict of the merge, resolved by an agent: it gets the tree with it, and may change nothing else."""

from __future__ import annotations

import dataclasses
import re
import time

from adws import git, runs, trial
from adws.combine import OverlapError
from adws.errors import printable
from adws.model import Phase, Result, Status
from adws.runs import Run, State
from adws.trial import Trial

_MARKER = re.compile(rb"^(<<<<<<<|>>>>>>>)", re.MULTILINE)


def perform(run: Run, state: State, overlap: OverlapError, worker: Phase) -> Result:
    """The recorded attempt that resolved this very conflict, or a new one, which may have failed."""
    known = (each for each in runs.attempts(run) if each.part == worker.part and each.key == overlap.key)
    if done := next((each for each in known if each.status is Status.PASSED), None):
        return done
    number, folder = runs.new_attempt(run, state, worker.name)
    started = time.monotonic()
    worker = dataclasses.replace(worker, writes=tuple(map(git.literally, overlap.paths)))
    base = runs.join(run.repo, overlap.tree, [state.base])
    result = trial.blank(run, worker, number, base, overlap.tree)
    runs.pin(run, result)  # the tree with the conflict is a commit that nothing else holds
    listed = "\n".join(f"- {printable(path)}" for path in overlap.paths)
    given = Trial(
        run=run, state=state, phase=worker, worker=worker, before=None, failed=None, last=None, paths=listed
    )
    result = trial.carry_out(given, dataclasses.replace(result, key=overlap.key), folder)
    if not result.reason:
        result = dataclasses.replace(result, reason=_unresolved(run, result, overlap))
    status = Status.FAILED if result.reason else Status.PASSED
    seconds = round(time.monotonic() - started, 3)
    return runs.record(run, dataclasses.replace(result, status=status, seconds=seconds))


def _unresolved(run: Run, result: Result, overlap: OverlapError) -> str:
    paths = [path for path in overlap.paths if "\n" not in path]  # git is asked for them line by line
    there = zip(paths, runs.objects(run.repo, [f"{result.tree}:{path}" for path in paths]), strict=True)
    left = [path for path, found in there if found and _MARKER.search(found.content)]
    return f"left conflict markers in {printable(left[0])}" if left else ""
