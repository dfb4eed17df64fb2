"""How a run ended: what each phase produced, what failed and where its log is, and what to type next."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from adws import change, git, runs
from adws.errors import printable
from adws.model import DONE, Result
from adws.report.text import Row, one_line, tail
from adws.runs import Run, State


def fill(run: Run, state: State, row: Row) -> Row:
    """The row with what only the record knows: what the phase left in the tree."""
    result = state.results.get(row.name)
    if result is None or row.verdict == "not run":
        return row
    changed = [file.path for file in change.files(run.repo, result.base_tree, result.tree)]
    said = row.produced or str(result.fields.get("summary", ""))
    produced = said or (f"changed {', '.join(changed)}" if changed else "no change")
    return dataclasses.replace(row, produced=produced)


def failures(run: Run, state: State, rows: Sequence[Row]) -> list[str]:
    """A labelled block per failure: the reason, the tail of the log, where the log is."""
    blocks = []
    for row in rows:
        if row.verdict not in ("failed", "error"):
            continue
        lines = [f"{row.verdict.upper()} {row.name}: {printable(row.produced)}"]
        if (result := state.results.get(row.name)) and result.status not in DONE:
            log = _log(run, result)
            lines += [f"  | {line}" for line in tail(log)]
            lines += [f"  log: {log}"]
        blocks.append("\n".join(lines) + "\n")
    return blocks


def closing(run: Run, state: State, rows: Sequence[Row], again: str) -> str:
    """The commit and how to look at it, or the command that goes on; and where the logs are."""
    lines = [""]
    done = all(row.verdict in ("passed", "up to date") for row in rows if row.name == "merge")
    branch = run.pipeline.into.replace("{adw_id}", run.id)
    if state.merged and done and any(row.name == "merge" for row in rows):
        stat = git.text(
            "diff-tree", "--shortstat", "-r", f"{state.merged}^", state.merged, git_dir=run.repo.git_dir
        )
        lines += [f"commit {state.merged[:12]} on branch {branch}: {one_line(state.title, 72)}"]
        lines += [f"  {stat.strip()}; look at it: git show {branch}"]
    if any(row.verdict in ("failed", "error", "waiting", "not run") for row in rows):
        lines += [f"again: {again}"]
    return "\n".join([*lines, f"logs: {runs.folder(run.repo, run.id)}"])


def _log(run: Run, result: Result) -> Path:
    """Of what failed: after a failed repair that is the attempt that it was to mend."""
    own = [each for each in runs.attempts(run, result.phase) if not each.role] if result.role else []
    return runs.last_log(run, max(own, key=lambda each: each.attempt, default=result))
