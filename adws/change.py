"""What a phase changed, and whether it was allowed to: read off the two trees, never off the file system."""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adws import git, runs, secrets
from adws.errors import printable
from adws.git import Repo
from adws.model import Phase

PROTECTED = (
    *(
        "pipeline.yaml",
        "dodo.py",
        ".adws/**",
        "**/.gitattributes",
        ".gitmodules",
        ".githooks/**",
        ".husky/**",
    ),
    *(".claude/**", ".codex/**", ".gemini/**", ".mcp.json", ".vscode/**", ".pre-commit-config.yaml"),
    *(".github/**", ".gitlab-ci.yml", ".circleci/**", ".buildkite/**", "Jenkinsfile", "azure-pipelines.yml"),
)
"""What decides what runs, for us, for git or in CI. A phase changes it only where its `writes` names it:
a glob that begins with a wildcard does not."""

TESTS = (
    *("**/test/**", "**/tests/**", "**/__tests__/**", "**/spec/**", "**/testdata/**", "**/conftest.py"),
    *("**/test_*", "**/*_test.*", "**/*.test.*", "**/*_spec.*", "**/*.spec.*", "**/*Test.*", "**/*Tests.*"),
)
"""What is a test, or belongs to one, by the customs of most languages."""
LARGEST = 100 * 2**20
"""Bytes of one file; GitHub refuses larger ones, and hardly anybody means to commit one."""

_PIECES = 64
"""Files whose content is in memory at a time."""
_GITLINK, _LINK = "160000", "120000"


@dataclass(frozen=True, kw_only=True)
class File:
    """One path that differs between two trees."""

    path: str
    mode: str
    """The new mode, `000000` for a deleted file."""
    oid: str
    """The new content."""


def files(
    repo: Repo, base_tree: str, tree: str, globs: tuple[str, ...] = (), *, icase: bool = False
) -> list[File]:
    """The paths that differ and match, sorted; without globs all of them."""
    if base_tree == tree:
        return []
    specs = git.pathspecs(globs, icase=icase)
    raw = git.run(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", base_tree, tree, "--", *specs, git_dir=repo.git_dir
    )
    parts = raw.decode(errors="surrogateescape").split("\0")[:-1]
    return [
        File(path=path, mode=about.split()[1], oid=about.split()[3])
        for about, path in zip(parts[::2], parts[1::2], strict=True)
    ]


def violation(repo: Repo, phase: Phase, base_tree: str, tree: str) -> str:
    """Why the change from `base_tree` to `tree` may not stand, in the user's words; empty when it may."""
    if missing := [glob for glob in phase.outputs if not runs.matching(repo, tree, [glob])]:
        return f"left no {missing[0]}, which its `outputs` names"
    changed = files(repo, base_tree, tree)
    if not changed:
        return "changed nothing, and a change is due" if phase.must_change else ""
    if links := [f.path for f in changed if f.mode == _GITLINK]:
        return f"left a git repository in {some(links)}; its files would be lost: remove its .git"
    if phase.writes is not None:
        allowed = set(files(repo, base_tree, tree, phase.writes)) if phase.writes else set()
        if outside := [f.path for f in changed if f not in allowed]:
            return f"changed {some(outside)}, outside its `writes`"
    if phase.frozen and (touched := files(repo, base_tree, tree, phase.frozen, icase=True)):
        return f"changed {some([f.path for f in touched])}, which is frozen"
    claims = tuple(
        g for g in phase.writes or () if not g.startswith("!") and not set("*?[") & set(g.partition("/")[0])
    )
    claimed = set(files(repo, base_tree, tree, claims)) if claims else set()
    if ours := [f.path for f in files(repo, base_tree, tree, PROTECTED, icase=True) if f not in claimed]:
        return f"changed {some(ours)}, which is protected; name it in `writes` to allow it"
    if away := [f.path for f in changed if f.mode == _LINK and _leads_away(repo, f)]:
        return f"left a link out of the repository: {some(away)}; link to a relative path inside"
    if large := [f.path for f in _large(repo, changed) if f not in claimed]:
        size = f"more than {LARGEST >> 20} MiB"
        return f"left {some(large)} of {size}; put it into ADW_OUT, or name it in `writes`"
    return ""


def shows(repo: Repo, base_tree: str, tree: str, forms: Sequence[bytes]) -> str:
    """The first path of the change that has one of these in its name or its content."""
    changed = [f for f in files(repo, base_tree, tree) if f.mode != _GITLINK] if forms else []
    for at in range(0, len(changed), _PIECES):
        part = changed[at : at + _PIECES]
        for file, there in zip(part, runs.objects(repo, [f.oid for f in part]), strict=True):
            content = there.content if there else b""  # a deleted file has none
            if secrets.found(file.path.encode(errors="surrogateescape") + b"\0" + content, forms):
                return file.path
    return ""


def with_tests(repo: Repo, base_tree: str, tree: str) -> str:
    """The tree `base_tree`, but with its tests as they are in `tree`."""
    tests = files(repo, base_tree, tree, TESTS)
    listing = "".join(f"{f.mode} {f.oid}\t{f.path}\0" for f in tests).encode(errors="surrogateescape")
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.run("read-tree", base_tree, git_dir=repo.git_dir, env=index)
        git.run("update-index", "-z", "--index-info", git_dir=repo.git_dir, env=index, stdin=listing)
        return git.text("write-tree", git_dir=repo.git_dir, env=index)


def _leads_away(repo: Repo, link: File) -> bool:
    target = git.run("cat-file", "blob", link.oid, git_dir=repo.git_dir).decode(errors="surrogateescape")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), target))
    return target.startswith("/") or place.split("/")[0] in ("..", ".git")


def _large(repo: Repo, changed: Sequence[File]) -> list[File]:
    there = [f for f in changed if f.mode.startswith("100")]
    asked = "".join(f"{f.oid}\n" for f in there).encode()
    sizes = git.text("cat-file", "--batch-check=%(objectsize)", git_dir=repo.git_dir, stdin=asked).split("\n")
    return [f for f, size in zip(there, sizes, strict=False) if int(size or 0) > LARGEST]


def some(paths: Sequence[str]) -> str:
    """The first path, and how many more there are."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return printable(paths[0]) + more
