"""The checkout a phase works in: git's answers about it, and files written inside it and nowhere else."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from adws.errors import UserError


def git(root: Path, *args: str, stdin: bytes = b"") -> bytes:
    """The raw output of one git command; raises UserError with git's own last line when it fails."""
    try:
        from git import Git, GitCommandError  # a tenth of a second that `--help` need not pay
    except ImportError as error:
        raise UserError("git cannot be started; is it installed and on PATH?") from error
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        try:
            out = Git(root).execute(
                ["git", *args], istream=given, stdout_as_string=False, strip_newline_in_stdout=False
            )
        except GitCommandError as error:
            # GitPython hands it on as "stderr: '...'"
            said = str(error.stderr).partition("'")[2].rpartition("'")[0].strip().splitlines()
            raise UserError(f"git {args[0]}: {said[-1] if said else 'failed'}") from error
    assert isinstance(out, bytes)  # noqa: S101 - the overloads of `execute` cannot say so
    return out


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A path as valid Unicode: bytes of its name that are not UTF-8 become `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def write(root: Path, path: str, data: bytes) -> None:
    """Write a file of the checkout whole; refuses a path that a symlink leads out of the checkout."""
    target = root / path
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{shown(path)} lies outside the checkout by way of a symlink; nothing was written")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(target, data)
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be written: {error.strerror}") from error


def replace(target: Path, data: bytes) -> None:
    """Put a whole file in its place at once, so that no reader ever meets half of it."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(target.stat().st_mode & 0o777 if target.is_file() else 0o666 & ~umask)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
