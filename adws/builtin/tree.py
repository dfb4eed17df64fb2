"""The checkout as the edits leave it: in memory until all of them hold, then written at once."""

from __future__ import annotations

import difflib
import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from adws.builtin import checkout
from adws.errors import UserError


@dataclass(frozen=True, kw_only=True)
class File:
    data: bytes
    executable: bool = False


class InPlaceError(UserError):
    """The edit is there already."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} has this edit already")


class Tree:
    """Reads through to the checkout below `root`; nothing there changes before `write`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._edited: dict[str, File | None] = {}

    def get(self, path: str) -> File | None:
        """The file as the edits so far leave it; raises UserError where `path` may not be edited."""
        path = _normal(path)
        return self._edited[path] if path in self._edited else self._on_disk(path)

    def known(self, path: str) -> File:
        """Like `get`, for a file that has to be there."""
        file = self.get(path)
        if file is None:
            raise UserError(f"{path} does not exist{self._hint(path)}")
        return file

    def put(self, path: str, file: File | None) -> None:
        """Set a file, or with None delete it."""
        self.get(path)
        path = _normal(path)
        for other, there in self._edited.items():
            if file and there and (path.startswith(f"{other}/") or other.startswith(f"{path}/")):
                raise UserError(f"{path} may not be edited: another edit makes {other}, and both cannot be")
        self._edited[path] = file

    def changed(self) -> list[str]:
        """Sorted paths whose content or mode is not what it was."""
        return sorted(path for path, file in self._edited.items() if file != self._on_disk(path))

    def added(self) -> list[str]:
        return [path for path in self.changed() if self._on_disk(path) is None]

    def write(self) -> None:
        """Put all of it on the disk: what goes first, as a file may take the name of a folder."""
        for path in self.changed():
            if self._edited[path] is None:
                self._delete(self._root / path)
        for path in self.changed():
            file = self._edited[path]
            if file is not None:
                _write(self._root / path, file)

    def _delete(self, target: Path) -> None:
        target.unlink()
        for parent in target.parents:
            if parent == self._root or any(parent.iterdir()):
                return
            parent.rmdir()  # git knows no empty folders

    def _on_disk(self, path: str) -> File | None:
        for folder in PurePosixPath(path).parents[-2::-1]:
            self._check_folder(path, str(folder))
        target = self._root / path
        kind = _kind(target)
        if not kind:
            return None
        if not stat.S_ISREG(kind):
            what = "a symlink" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "not a file"
            raise UserError(f"{path} may not be edited: it is {what}")
        try:
            return File(data=target.read_bytes(), executable=bool(kind & 0o100))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error

    def _check_folder(self, path: str, folder: str) -> None:
        kind = _kind(self._root / folder)
        deleted = folder in self._edited and self._edited[folder] is None
        if kind and not stat.S_ISDIR(kind) and not deleted:
            what = "a symlink" if stat.S_ISLNK(kind) else "a file"
            raise UserError(f"{path} may not be edited: {folder} is {what}, not a folder")
        if kind and _kind(self._root / folder / ".git"):
            raise UserError(f"{path} may not be edited: {folder} is a git repository of its own")

    def _hint(self, path: str) -> str:
        listed = os.fsdecode(checkout.git(self._root, "ls-files", "-z")).split("\0")[:-1]
        name = path.rpartition("/")[2]
        same = [known for known in listed if known.rpartition("/")[2] == name]
        close = same[:1] or difflib.get_close_matches(path, listed, n=1)
        return f"; did you mean `{checkout.shown(close[0])}`?" if close else ""


def _normal(path: str) -> str:
    """The one spelling of a path; refuses what could lead out of the checkout or into git's own files."""
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".")]
    if path.startswith(("/", "\\", "~/")) or re.match(r"[A-Za-z]:[/\\]", path):
        raise UserError(f"{path} may not be edited: the path is not relative to the checkout")
    if ".." in parts:
        raise UserError(f"{path} may not be edited: the path has `..` in it")
    if any(map(_is_git, parts)):
        raise UserError(f"{path} may not be edited: it is git's own")
    if not parts or path.endswith("/") or any(ord(c) < 32 or c == "\x7f" for c in path):
        raise UserError(f"`{checkout.shown(path.encode('utf-8', 'replace'))}` is no path of a file")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _is_git(part: str) -> bool:
    """`.git` as some file system may spell it: in any case, `.git.`, `git~1`, with invisible letters."""
    visible = "".join(c for c in part if unicodedata.category(c) != "Cf")
    return visible.split(":")[0].rstrip(" .").casefold() in (".git", "git~1")


def _kind(path: Path) -> int:
    """The file's mode; 0 where there is nothing."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise UserError(f"{path.name[:60]}: {error.strerror}") from error


def _write(target: Path, file: File) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.data)
    mode = stat.S_IMODE(target.stat().st_mode)
    if bool(mode & 0o100) != file.executable:
        target.chmod(mode | (mode & 0o444) >> 2 if file.executable else mode & ~0o111)
