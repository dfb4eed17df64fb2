"""`python -m adws.agents.replay FOLDER`: does what an agent did when it was recorded, or says what it misses.

A recording is a folder below FOLDER, see `recording`: what the agent printed (`stream`), the files that it
left in its workspace (`files/`) and in `ADW_OUT` (`out/`), the rest in `about.json`. The right one is found
by phase, files and prompt. So it is the same to the byte, or nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adws import git
from adws.agents.record import HEADER
from adws.errors import UserError

ABOUT = "about.json"


def name(phase: str, tree: str, prompt: bytes, io: Path) -> dict[str, str]:
    """By what a recording is found; `io` is the folder of this attempt, whose path is another each time."""
    said = prompt.replace(os.fsencode(io), b"{io}")
    return {"phase": phase, "tree": tree, "prompt": hashlib.sha256(said).hexdigest()}


def place(folder: Path, named: dict[str, str]) -> Path:
    """Where the recording of that name is."""
    key = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:12]
    return folder / f"{named['phase'].replace(':', '.')}-{key}"


def main(argv: Sequence[str]) -> int:
    """Play the recording for this phase; its exit code, or 3 where there is none."""
    try:
        if len(argv) != 1:
            raise UserError("usage: python -m adws.agents.replay FOLDER")
        out = Path(os.environ["ADW_OUT"])
        tree = git.text("rev-parse", "HEAD^{tree}", git_dir=_top() / ".git")
        named = name(os.environ["ADW_PHASE"], tree, sys.stdin.buffer.read(), out.parent)
        return _play(_find(Path(argv[0]), named), out)
    except UserError as error:
        print(json.dumps({HEADER: "text", "missing": str(error)}), flush=True)
        print(f"replay: {error}", file=sys.stderr)
        return error.code


def _top() -> Path:
    here = Path.cwd()
    found = next((folder for folder in (here, *here.parents) if (folder / ".git").is_dir()), None)
    if found is None:
        raise UserError("this is not the workspace of a phase; name the agent `replay` in a pipeline")
    return found


def _find(folder: Path, named: dict[str, str]) -> Path:
    found = place(folder, named)
    if (found / ABOUT).is_file():
        return found
    others = [json.loads(path.read_bytes()) for path in sorted(folder.glob(f"*/{ABOUT}"))]
    same = [each for each in others if each["phase"] == named["phase"]]
    odd = [key for key in ("tree", "prompt") if not any(each[key] == named[key] for each in same)]
    words = {"tree": "on other files", "prompt": "with another prompt, issue or ADW_ID"}
    why = " and ".join(words[key] for key in odd) or "on other files or with another prompt"
    there = f"{len(same)} of it there, {why}" if same else f"none of it there, {len(others)} of others"
    raise UserError(f"no recording of phase `{named['phase']}` in {folder} fits: {there}; record it anew")


def _play(recording: Path, out: Path) -> int:
    about: dict[str, Any] = json.loads((recording / ABOUT).read_bytes())
    print(json.dumps({HEADER: about["format"], "agent": about["agent"]}), flush=True)
    sys.stdout.buffer.write((recording / "stream").read_bytes())
    sys.stdout.buffer.flush()
    top = _top()
    for path in about["deleted"]:
        _remove(top, path)
    _put(recording / "files", top)
    _put(recording / "out", out)
    return int(about["exit"])


def _remove(top: Path, name: str) -> None:
    """With the directories that are empty then: a file may stand in their place."""
    (top / name).unlink()
    for folder in list(Path(name).parents)[:-1]:
        if any((top / folder).iterdir()):
            return
        (top / folder).rmdir()


def _put(source: Path, target: Path) -> None:
    for folder, names, files in os.walk(source):
        links = [each for each in names if Path(folder, each).is_symlink()]
        for each in (*files, *links):
            path = Path(folder, each)
            to = target / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(to):
                to.unlink()
            shutil.copy2(path, to, follow_symlinks=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
