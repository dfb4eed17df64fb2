"""What an agent did, written down so that the agent `replay` can do it again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from adws import change, runs, workspace
from adws.agents import replay
from adws.checkout import remove
from adws.model import Agent, Result
from adws.process import Outcome
from adws.runs import Run
from adws.workspace import Workspace

_UNRECORDED = ("builtin", "replay")
_LINK, _GONE = "120000", "000000"


def write(
    run: Run, agent: Agent, work: Workspace, outcome: Outcome, start: str, result: Result, log: Path
) -> None:
    """Write down the attempt that went from tree `start` to that of the result.

    Whole or not at all. What was ended by force is none: it would end otherwise the next time.
    """
    if agent.format in _UNRECORDED or outcome.code is None:
        return
    named = replay.name(result.phase, start, (work.io / "prompt.md").read_bytes(), work.io)
    target = replay.place(runs.recordings(run), named)
    half = target.with_name(f".{target.name}.{os.getpid()}")
    remove(half)
    for part in ("files", "out"):
        (half / part).mkdir(parents=True)
    shutil.copyfile(log, half / "stream")
    changed = change.files(run.repo, start, result.tree)
    _files(run, [file for file in changed if file.mode != _GONE], half / "files")
    workspace.export(run.repo, work, result.out, half / "out")
    deleted = [file.path for file in changed if file.mode == _GONE]
    about = {**named, "agent": agent.name, "format": agent.format, "exit": outcome.code, "deleted": deleted}
    (half / replay.ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    remove(target)
    half.rename(target)


def _files(run: Run, files: list[change.File], folder: Path) -> None:
    for file in files:
        (there,) = runs.objects(run.repo, [file.oid])
        path, content = folder / file.path, there.content if there else b""
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.mode == _LINK:
            path.symlink_to(os.fsdecode(content))
        else:
            path.write_bytes(content)
            path.chmod(0o755 if file.mode == "100755" else 0o644)
