"""The way to git: one guarded call, and what we know of the user's repository.

Every call names its git directory, runs nothing the repository asks for (hooks, fsmonitor, signing, gc)
and reads no configuration but the repository's own and what `Repo.config` carries.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adws.errors import UserError
from adws.model import Pairs

MINIMUM = (2, 38)
"""`merge-tree --write-tree` came with git 2.38."""

_HOOKS = ("post-index-change", "reference-transaction", "post-checkout", "post-merge", "pre-merge-commit")
_GUARD = {
    "core.hooksPath": "/dev/null",
    # from git 2.54 on the configuration too can define hooks, which core.hooksPath does not reach
    **{f"hook.{event}.enabled": "false" for event in _HOOKS},
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.splitIndex": "false",
    "core.quotePath": "false",
    # by default git syncs nothing on commit-tree or update-ref: a power cut would empty refs and objects
    "core.fsync": "committed,loose-object,reference",
    "gc.auto": "0",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    # the merged tree must not depend on whose machine merges
    "merge.renames": "true",
    "merge.directoryRenames": "conflict",
    "merge.renameLimit": "7000",
    "merge.default": "text",
    "diff.algorithm": "histogram",
}
_CHECKOUT_KEYS = (
    *(
        "core.attributesfile",
        "core.autocrlf",
        "core.eol",
        "core.excludesfile",
        "core.filemode",
        "core.ignorecase",
        "core.longpaths",
    ),
    *("core.precomposeunicode", "core.symlinks"),
)
_CHECKOUT_SECTIONS = ("filter.", "lfs.", "remote.")  # LFS may have to fetch a file from where it always does
_NO_NAME = "".join(map(chr, range(33))) + ".,:;<>\"\\'"
"""What git takes off a name or an address at both ends; nothing may be left for it then."""
_IDENTITY = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL")
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}


class GitError(Exception):
    """git said no; `str()` is the first line of what it said."""

    def __init__(self, command: str, status: int, stderr: str) -> None:
        lines = [line for line in stderr.splitlines() if line and not line.startswith("hint:")]
        said = lines[0] if lines else f"git {command} ended with {status}"
        said += "".join(f"; {line}" for line in lines[1:] if line.startswith("fatal: "))
        if said.endswith(":"):  # the names follow, one a line
            said += " " + ", ".join(line.strip() for line in lines[1:] if line.startswith("\t"))
        super().__init__(said)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Repo:
    """What is known of the user's repository, read once when a run begins."""

    root: Path
    """Top of the checkout the user stands in; `.adws/` lies here."""
    git_dir: Path
    """The common git directory: objects and refs are here also for a linked worktree."""
    head: str
    """The commit that is checked out."""
    object_format: str
    """`sha1` or `sha256`."""
    config: Pairs
    """The user's settings that decide how files look when they are checked out and captured."""
    signing: Pairs
    """The user's settings that say how they sign."""
    identity: tuple[str, str]
    """Name and e-mail for the one commit the user keeps."""

    @property
    def objects(self) -> Path:
        return self.git_dir / "objects"

    @property
    def empty_tree(self) -> str:
        """Object id of the tree with nothing in it, which git knows without storing it."""
        return hashlib.new(self.object_format, b"tree 0\0", usedforsecurity=False).hexdigest()


def clean_environment() -> None:
    """Forget GIT_DIR and its kind: they are set when a hook starts us and would redirect every call."""
    for name in [name for name in os.environ if name.startswith("GIT_") and name not in _IDENTITY]:
        del os.environ[name]
    # else GitPython refuses to be imported where there is no git, before we can say so in our own words
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"


def call(
    *args: str,
    git_dir: Path,
    env: Mapping[str, str] | None = None,
    config: Iterable[tuple[str, str]] = (),
    stdin: bytes = b"",
    ok: Sequence[int] = (0,),
    keep: Sequence[int] = (),
) -> tuple[int, bytes]:
    """Run one guarded git command and return its exit status and standard output.

    Settings travel in the environment, so that no value is ever parsed as an option. git inherits the locks
    in `keep`, so that one that outlives us still keeps others out. Raises GitError when the exit status is
    not in `ok`.
    """
    environment = {
        **_ENVIRONMENT,
        **_settings_as_environment({**dict(config), **_GUARD}),
        "GIT_DIR": str(git_dir),
    }
    status, out, err = _execute(args, {**environment, **(env or {})}, "/", stdin, keep)
    if status not in ok:
        raise GitError(args[0], status, err)
    return status, out


def run(*args: str, git_dir: Path, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> bytes:
    """The standard output of a `call` that has to succeed."""
    return call(*args, git_dir=git_dir, env=env, stdin=stdin)[1]


def text(*args: str, git_dir: Path, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
    """The same as text without the last newline; names in it can be asked for again, whatever their bytes."""
    return os.fsdecode(run(*args, git_dir=git_dir, env=env, stdin=stdin)).rstrip("\n")


def fast_forward(checkout: Path, commit: str, lock: int) -> None:
    """Move the branch checked out in `checkout`, and its files, forward to `commit`, or raise GitError.

    The user's own settings count here, since it is their checkout; their hooks do not run. git inherits the
    lock: two of these at once corrupt the index.
    """
    args = ("merge", "--ff-only", "--no-autostash", "--no-overwrite-ignore", "--quiet", commit)
    _in_checkout(checkout, *args, keep=(lock,))


def sync(checkout: Path, old: str, commit: str) -> None:
    """Have what differs between the commits done, and survive a power cut; git itself sees to neither.

    Where it cannot remove a file it only warns, and leaves it there untracked. OSError if we cannot either.
    """
    gone = [path for path in _changed(checkout, old, commit, "D") if path.is_symlink() or path.is_file()]
    for path in gone:
        name = str(path.relative_to(checkout))
        # tracked under this name where the file system does not tell `A` from `a`
        tracked = not _in_checkout(checkout, "--literal-pathspecs", "ls-files", "--others", "--", name)
        if not tracked and _read(path) == _content(checkout, old, path):
            path.unlink()
    for path in _changed(checkout, old, commit):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def take_over(checkout: Path, old: str, commit: str) -> None:
    """Stage those files of the commit that a `fast_forward` from `old` already put there, be it in part.

    It was killed, or the power went off before `sync`.
    """
    paths = [path for path in _changed(checkout, old, commit) if _is_begun(checkout, commit, path)]
    if paths:
        ours = [os.fsencode(path.relative_to(checkout)) for path in paths]
        args = ("--literal-pathspecs", "restore", "--staged", "--worktree", f"--source={commit}")
        listing = ("--pathspec-from-file=-", "--pathspec-file-nul")
        _in_checkout(checkout, *args, *listing, stdin=b"\0".join(ours))


def looks(checkout: Path, old: str, commit: str) -> list[tuple[int, int] | None]:
    """By which can be told whether the files that differ between the commits were touched meanwhile."""
    paths = _changed(checkout, old, commit, "")
    stats = [path.lstat() if os.path.lexists(path) else None for path in paths]
    return [(stat.st_ino, stat.st_mtime_ns) if stat else None for stat in stats]


def _changed(checkout: Path, old: str, commit: str, kinds: str = "d") -> list[Path]:
    """The files of the commit that are not the same in `old`; `kinds` as in git's `--diff-filter`."""
    asked = ("diff-tree", "-r", "-z", "--name-only", f"--diff-filter={kinds}", old, commit)
    names = _in_checkout(checkout, *asked)
    return [checkout / os.fsdecode(name) for name in names.split(b"\0") if name]


def _is_begun(checkout: Path, commit: str, path: Path) -> bool:
    """Whether the file is not there, or is the beginning of what it is in the commit: git just wrote it."""
    return not os.path.lexists(path) or _content(checkout, commit, path).startswith(_read(path))


def _read(path: Path) -> bytes:
    return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()


def _content(checkout: Path, commit: str, path: Path) -> bytes:
    """What git would write there."""
    return _in_checkout(checkout, "cat-file", "--filters", f"{commit}:{path.relative_to(checkout)}")


def dir_of(checkout: Path) -> Path:
    """Where git keeps the index and the HEAD of this checkout."""
    return Path(_ask(checkout, "rev-parse", "--absolute-git-dir"))


def untracked(checkout: Path, globs: Iterable[str]) -> list[str]:
    """What the user's checkout has and git does not, ignored or not; of a whole directory only its path."""
    out = _in_checkout(checkout, "ls-files", "-z", "--others", "--directory", "--", *pathspecs(globs))
    return [name.rstrip("/") for name in os.fsdecode(out).split("\0") if name]


def submodule_dir(checkout: Path) -> Path | None:
    """Where git keeps the submodule that the user has checked out there, if they have."""
    if not os.path.lexists(checkout / ".git"):
        return None  # an empty directory: git would find what is around it
    return dir_of(checkout)


def _in_checkout(checkout: Path, *args: str, stdin: bytes = b"", keep: Sequence[int] = ()) -> bytes:
    status, out, err = _execute(args, _theirs(), str(checkout), stdin, keep)
    if status:
        raise GitError(args[0], status, err)
    return out


def _theirs() -> dict[str, str]:
    """For the user's own checkout, where their own settings count; their hooks do not run."""
    env = {
        **_ENVIRONMENT,
        **_settings_as_environment({**_GUARD, "core.fsync": f"{_GUARD['core.fsync']},index"}),
    }
    del env["GIT_CONFIG_NOSYSTEM"], env["GIT_CONFIG_GLOBAL"]
    return env


def _settings_as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _execute(
    args: Sequence[str], env: Mapping[str, str], cwd: str, stdin: bytes = b"", pass_fds: Sequence[int] = ()
) -> tuple[int, bytes, str]:
    # GitPython asks git for its version then, and raises when that is killed; we ask ourselves
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"
    import git  # costs more than the rest of the tool's start together

    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        status, out, err = git.Git(cwd).execute(
            ["git", *args],
            istream=given,
            env=env,
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            pass_fds=tuple(pass_fds),
        )
    return status, out, err if isinstance(err, str) else err.decode(errors="replace")


def pathspecs(globs: Iterable[str], *, icase: bool = False) -> list[str]:
    """The pipeline's globs in git's words; `!` excludes."""
    magic = "icase,glob" if icase else "glob"
    return [f":(exclude,{magic}){g[1:]}" if g.startswith("!") else f":({magic}){g}" for g in globs]


def literally(path: str) -> str:
    """The glob that matches nothing but this path."""
    return re.sub(r"[!*?\[\\]", r"\\\g<0>", path)


def open_repo(path: Path) -> Repo:
    """Look at the repository around `path` as the user's own git does; refuse what cannot be used."""
    if not path.is_dir():
        raise UserError(f"{path} is not a directory; name the repository's folder")
    if "\n" in str(path):
        raise UserError(
            f"{path} has a line break in its name, and git keeps paths in lines; rename it".replace("\n", "?")
        )
    _check_version()
    bare, inside, git_dir, object_format = _ask(
        path,
        "rev-parse",
        "--path-format=absolute",
        "--is-bare-repository",
        "--is-inside-git-dir",
        "--git-common-dir",
        "--show-object-format",
    ).split("\n")
    if bare == "true":
        raise UserError(f"{path} is a bare repository; adws needs a checkout: git clone {path}")
    if inside == "true":
        raise UserError(f"{path} is inside of a git directory; change into the checkout")
    root = _ask(path, "rev-parse", "--show-toplevel")
    try:
        head = _ask(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except UserError:
        what = f"{root} has no commit yet; make a first one: git commit --allow-empty -m start"
        with contextlib.suppress(UserError):
            oid = _ask(path, "rev-parse", "--verify", "--quiet", "HEAD")
            what = f"commit {oid} cannot be read; see what else is broken: git fsck"
        raise UserError(what) from None
    said = settings(path)
    known = dict(said)
    if "filter.lfs.process" in known or "filter.lfs.smudge" in known:
        _check_lfs(Path(root))
        # relative to the git directory, and ours is another one
        said += (("lfs.storage", os.path.join(git_dir, known.get("lfs.storage", "lfs"))),)  # noqa: PTH118
    return Repo(
        root=Path(root),
        git_dir=Path(git_dir),
        head=head,
        object_format=object_format,
        config=tuple(
            (k, v) for k, v in said if k in _CHECKOUT_KEYS or k.startswith(("filter.", "lfs.", "remote."))
        ),
        signing=tuple(pair for pair in said if pair[0].startswith(("gpg.", "user.signingkey"))),
        identity=(
            _person(os.environ.get("GIT_AUTHOR_NAME"), known.get("user.name"), "adws"),
            _person(os.environ.get("GIT_AUTHOR_EMAIL"), known.get("user.email"), "adws@localhost"),
        ),
    )


def _person(*said: str | None) -> str:
    """The first in which git finds something of a name or an address."""
    return next(each for each in said if each and each.strip(_NO_NAME))


def _check_version() -> None:
    try:
        # not by GitPython, which is imported only with a git that it likes
        done = subprocess.run(["git", "version"], capture_output=True, check=False, cwd="/")
    except OSError:
        raise UserError("git is not installed or not on PATH; adws needs git 2.38 or newer") from None
    answer = done.stdout.decode(errors="replace").removeprefix("git version ").split()
    found = re.match(r"(\d+)\.(\d+)", answer[0]) if answer else None
    if done.returncode or not found or (int(found[1]), int(found[2])) < MINIMUM:
        this = f"this is git {answer[0]}" if answer else "this git does not say what it is"
        raise UserError(f"adws needs git 2.38 or newer for `merge-tree --write-tree`; {this}")


def _check_lfs(root: Path) -> None:
    rules = root / ".gitattributes"
    if rules.is_file() and "filter=lfs" in rules.read_text(errors="replace") and not shutil.which("git-lfs"):
        raise UserError(f"{root} keeps files in Git LFS, and git-lfs is not there; install it: git-lfs.com")


def _ask(path: Path, *args: str) -> str:
    """Ask with the user's own configuration, so that safe.directory and includes count as they always do."""
    status, out, err = _execute(args, {}, str(path))
    if status:
        said = str(GitError(args[0], status, err))
        if "not a git repository" in said:
            said = f"{path} is not in a git repository; change into one, or make one: git init"
        if "dubious ownership" in said:
            how = f"git config --global --add safe.directory {path}"
            said = f"{path} belongs to another user; if you trust it: {how}"
        raise UserError(said)
    return os.fsdecode(out).rstrip("\n")


def settings(path: Path) -> Pairs:
    """All that the user's configuration says there, with small letters in its keys."""
    entries = _ask(path, "config", "--null", "--list").split("\0")
    pairs = (entry.partition("\n") for entry in entries if entry)
    return tuple((key, value) for key, _, value in pairs)
