"""The one place where the embedded agent starts a process that is not git."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from adws.errors import UserError


def run(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> int:
    """Run it with our own output and no input; gives its exit code, 128 and more for a signal."""
    sys.stdout.flush()
    code = _started(command, cwd, env).returncode
    return code if code >= 0 else 128 - code


def output(command: Sequence[str], cwd: Path) -> tuple[int, bytes, str]:
    """Run it in silence; gives its exit code, its output, and its last words on stderr."""
    done = _started(command, cwd, {}, pipe=subprocess.PIPE)
    words = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return done.returncode, done.stdout, words[-1].strip() if words else ""


def _started(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], pipe: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            check=False,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"`{command[0]}` could not be started: {why}") from error
