"""One phase: its base, a workspace, the command under the supervisor, the evidence, the recorded result."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

from adws import agents, change, combine, evidence, git, process, runs, workspace
from adws.errors import UserError
from adws.model import Phase, Result, Status, closure
from adws.runs import Run, State
from adws.workspace import Workspace

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TERM", "TMPDIR", "VIRTUAL_ENV")
"""All that a phase sees of the caller's environment; the rest is what the pipeline names."""
_RESULT_LIMIT = 1 << 20
"""Bytes of `result.json`, which goes into a commit message."""
_RESULT_DEPTH = 50


def is_current(run: Run, state: State, phase: Phase) -> bool:
    """Whether the recorded result is a passed one for exactly today's inputs."""
    known = state.results.get(phase.name)
    if known is None or known.status is not Status.PASSED:
        return False
    try:
        _, base_tree = combine.base(run, state, phase)
    except (combine.ConflictError, KeyError):
        return False
    return known.key == runs.key(run, state, phase, base_tree) and combine.applies(run.repo, known, base_tree)


def perform(run: Run, phase: Phase) -> Result:
    """Do the phase, with its retries, and record every attempt; the last one is the result.

    UserError where a phase it needs has no result to start from.
    """
    state = runs.load(run)
    _check_needs(run, state, phase)
    for _ in range(1 + phase.retries):
        result = runs.record(run, _attempt(run, state, phase))
        if result.status is Status.PASSED or time.monotonic() > run.deadline:
            break
    return result


def judge(run: Run, state: State, phase: Phase, commit: str, log: Path) -> str:
    """Run the phase's command on a fresh checkout; what is wrong, empty when the evidence is green."""
    with workspace.acquire(run.repo, commit, deadline=run.deadline) as place:
        said = _execute(run, state, phase, place, commit, log) or evidence.fault(place.out, phase.evidence)
        if not said and workspace.capture(run.repo, place) != runs.tree_of(run.repo, commit):
            said = "changed the files that it judges"
        return said


def _check_needs(run: Run, state: State, phase: Phase) -> None:
    for need in closure(run.pipeline, phase.needs):
        known = state.results.get(need.name)
        if known is None:
            what = f"phase `{phase.name}` needs `{need.name}`, which has no result in run {run.id}"
            raise UserError(f"{what}; run it first: doit {need.name} ADW_ID={run.id}")
        if known.status is Status.FAILED and not need.continue_on_error:
            raise UserError(f"phase `{phase.name}` needs `{need.name}`, which failed: {known.reason}")


def _attempt(run: Run, state: State, phase: Phase) -> Result:
    number, folder = runs.new_attempt(run, state, phase.name)
    started = time.monotonic()
    by = f"{phase.agent.name} {phase.model or ''}".strip() if phase.agent else "command"
    result = Result(
        phase=phase.name, attempt=number, status=Status.FAILED, reason="", by=by, seconds=0.0, key="",
        base=state.base, base_tree=state.base_tree, tree=state.base_tree, out=runs.empty_tree(run.repo),
    )  # fmt: skip
    try:
        base, tree = combine.base(run, state, phase)
        key = runs.key(run, state, phase, tree)
        result = dataclasses.replace(result, key=key, base=base, base_tree=tree, tree=tree)
        result = _work(run, state, phase, result, folder)
    except (combine.ConflictError, TimeoutError) as error:
        result = dataclasses.replace(result, reason=str(error))
    status = Status.FAILED if result.reason else Status.PASSED
    return dataclasses.replace(result, status=status, seconds=round(time.monotonic() - started, 3))


def _work(run: Run, state: State, phase: Phase, result: Result, folder: Path) -> Result:
    """The attempt in its workspace: what it left, and everything that speaks against it."""
    with workspace.acquire(run.repo, result.base, deadline=run.deadline) as place:
        faults = [_execute(run, state, phase, place, result.base, folder / "log", keep_prompt=folder)]
        try:
            tree, out = workspace.capture(run.repo, place), workspace.capture_out(run.repo, place)
        except git.GitError as error:
            return dataclasses.replace(result, reason=f"left what cannot be captured: {error}")
        fields, said = _fields(place.out / "result.json")
        faults += [change.violation(run.repo, phase, result.base_tree, tree), said]
        faults += [evidence.fault(place.out, phase.evidence)]
        workspace.export(run.repo, place, out, folder / "out")
    if phase.evidence and tree != result.base_tree and not any(faults):
        # what the report says was seen on files that the command changed meanwhile
        commit = runs.join(run.repo, tree, [result.base])
        faults.append(judge(run, state, phase, commit, folder / "log.judged"))
    return dataclasses.replace(
        result, tree=tree, out=out, fields=fields, reason="; ".join(filter(None, faults))
    )


def _execute(
    run: Run,
    state: State,
    phase: Phase,
    place: Workspace,
    base: str,
    log: Path,
    keep_prompt: Path | None = None,
) -> str:
    """Run the command in its workspace, under the supervisor; why it did not pass, empty when it did."""
    _hand_over(run, state, phase, place)
    argv, stdin = agents.command(phase, adw_id=run.id, prompt=place.io / "prompt.md", out=place.out)
    if phase.agent and keep_prompt:
        (keep_prompt / "prompt.md").write_bytes((place.io / "prompt.md").read_bytes())
    left = max(run.deadline - time.monotonic(), 0.0)
    outcome = process.run(
        argv,
        cwd=place.tree,
        env=_environment(run, phase, place, base),
        log=log,
        timeout=min(phase.timeout, left),
        stdin=stdin,
        keep=(place.lock,),
    )
    if outcome.reason is process.Reason.TIMED_OUT and left < phase.timeout:
        return f"stopped at the run's time limit of {run.pipeline.timeout:g} s"
    return "" if outcome.passed else outcome.text


def _hand_over(run: Run, state: State, phase: Phase, place: Workspace) -> None:
    """Write what the phase is given to read: the issue, the results of what it needs, the prompt."""
    repo = run.repo
    (place.io / "issue.md").write_bytes(git.run("cat-file", "blob", state.issue, git_dir=repo.git_dir))
    told: dict[str, dict[str, Any]] = {}
    for need in closure(run.pipeline, phase.needs):
        known = state.results[need.name]
        out = place.io / "needs" / need.name
        workspace.export(repo, place, known.out, out)
        told[need.name] = {**known.fields, "status": known.status, "base": known.base, "out": str(out)}
    (place.io / "state.json").write_text(json.dumps(told, indent=1, sort_keys=True))
    if phase.agent:
        values = {
            "adw_id": run.id,
            "phase": phase.name,
            "issue": (place.io / "issue.md").read_text(encoding="utf-8", errors="replace"),
            "needs": "\n".join(
                f"- {name}: {about['status']}, artifacts in {about['out']}" for name, about in told.items()
            ),
            "out": str(place.out),
        }
        (place.io / "prompt.md").write_text(agents.render(phase, values), encoding="utf-8")


def _environment(run: Run, phase: Phase, place: Workspace, base: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    ours = {
        "ADW_ID": run.id,
        "ADW_PHASE": phase.name,
        "ADW_BASE": base,
        "ADW_OUT": str(place.out),
        "ADW_ISSUE": str(place.io / "issue.md"),
        "ADW_STATE": str(place.io / "state.json"),
        "ADW_SLOT": str(place.slot),
        "ADW_PORT": str(workspace.PORTS + 100 * place.slot),
    }
    return {"PATH": os.defpath, **inherited, **dict(phase.env), **ours}


def _fields(path: Path) -> tuple[dict[str, Any], str]:
    """What `result.json` says, and what is wrong with it; a phase need not leave one."""
    if path.is_symlink() or not path.is_file():
        return {}, ""
    if path.stat().st_size > _RESULT_LIMIT:
        return {}, f"left a result.json of more than {_RESULT_LIMIT} bytes"
    try:
        fields = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return {}, f"left a result.json that cannot be read: {error}"
    if not isinstance(fields, dict):
        return {}, "left a result.json that is no JSON object"
    if _deeper(fields, _RESULT_DEPTH):
        return {}, f"left a result.json nested deeper than {_RESULT_DEPTH}"
    return fields, ""


def _deeper(value: Any, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth == 0 or any(_deeper(each, depth - 1) for each in inner)
