"""A conflict of the merge, resolved by an agent: it gets the tree with it, and may change nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Sequence

from adws import change, git, phase, runs, trial
from adws.attempt import Help
from adws.combine import OverlapError
from adws.errors import printable
from adws.model import Phase, Result, Status
from adws.provision import MissingError
from adws.runs import Run, State
from adws.trial import Before

_MARKER = re.compile(rb"^(<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)(?= |\r?$)", re.MULTILINE)
_BEGIN = re.compile(rb"^<<<<<<< [0-9a-f]{40,64}(:.*)?\r?$", re.MULTILINE)
"""Where a conflict begins that git marked: the sides are commits, with a path where it differs."""


def perform(run: Run, state: State, overlap: OverlapError, worker: Phase) -> Result:
    """The recorded resolution of this very conflict, or a new attempt at one, which may have failed."""
    contents = _contents(run, overlap.tree, overlap.paths)
    if plain := [path for path in overlap.paths if not _BEGIN.search(contents.get(path, b""))]:
        what = f"{printable(plain[0])} was deleted or moved on one side, or is no text"
        return dataclasses.replace(trial.blank(run, worker, 0, state.base, overlap.tree), reason=what)
    key = _key(state, worker, overlap)
    known = [each for each in runs.attempts(run, worker.name) if each.key == key]
    done = max(known, key=lambda each: each.attempt, default=None)
    if done and done.status is Status.PASSED:
        return done
    worker = dataclasses.replace(worker, writes=tuple(map(git.literally, overlap.paths)))

    def attempt(_worker: Phase, before: Before) -> Result:
        return _attempt(run, state, overlap, worker, key, before)

    return phase.pursue(run, worker, (), attempt)


def withdraw(run: Run, state: State, resolution: Result, why: str) -> None:
    """Note that the tree it led to was refused, so that it is not taken again."""
    number, _ = runs.new_attempt(run, state, resolution.phase)
    runs.record(run, dataclasses.replace(resolution, attempt=number, status=Status.FAILED, reason=why))


def _key(state: State, worker: Phase, overlap: OverlapError) -> str:
    issue = hashlib.sha256(state.issue).hexdigest()
    parts = [overlap.tree, issue, worker.prompt, worker.agent and worker.agent.name, worker.model]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _attempt(
    run: Run, state: State, overlap: OverlapError, worker: Phase, key: str, before: Before
) -> Result:
    number, folder = runs.new_attempt(run, state, worker.name)
    started = time.monotonic()
    base = runs.join(run.repo, overlap.tree, [state.base])
    result = dataclasses.replace(trial.blank(run, worker, number, base, overlap.tree), key=key)
    runs.pin(run, result)  # the tree with the conflict is a commit that nothing else holds
    listed = "\n".join(f"- {printable(path)}" for path in overlap.paths)
    try:
        help = Help(paths=listed, patience=before.patience)
        result = trial.carry_out(run, state, worker, result, folder, help)
    except (MissingError, TimeoutError) as error:
        result = dataclasses.replace(result, reason=str(error), final=True)
    if result.status is Status.PASSED and (said := _unresolved(run, overlap, result.tree)):
        result = dataclasses.replace(result, status=Status.FAILED, reason=said)
    return dataclasses.replace(result, seconds=round(time.monotonic() - started, 3))


def _unresolved(run: Run, overlap: OverlapError, tree: str) -> str:
    """What is left to do in this tree; empty for nothing. What looks like a marker may be the file's own."""
    before, after = (_contents(run, each, overlap.paths) for each in (overlap.tree, tree))
    for path, content in before.items():
        if path not in after:
            return f"deleted {printable(path)}, which both sides have"
        # three lines for each conflict are git's, the others the file's own
        begun = len(_BEGIN.findall(content))
        set_by_git = Counter(dict.fromkeys((b"<<<<<<<", b"=======", b">>>>>>>"), begun))
        there, left = (Counter(_MARKER.findall(each)) for each in (content, after[path]))
        if left - (there - set_by_git):
            return f"left conflict markers in {printable(path)}"
    return ""


def _contents(run: Run, tree: str, paths: Sequence[str]) -> dict[str, bytes]:
    """What those of the paths that are files of this tree have in it."""
    files = change.files(run.repo, run.repo.empty_tree, tree, tuple(map(git.literally, paths)))
    found = zip(files, runs.objects(run.repo, [file.oid for file in files]), strict=True)
    return {file.path: there.content for file, there in found if there}
