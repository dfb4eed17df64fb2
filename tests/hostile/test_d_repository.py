"""D: repositories as they are found: unfinished, odd, broken, somebody else's, or none at all.

Further than the list goes:

    144 a repository whose path has spaces, quotes, a line break, bytes that are no text
    145 the directory one stands in: inside of `.git`, deleted, a file
    146 a name or an e-mail that git takes for none
    147 `.adws` is a file, a link out of the repository; `.git/adws` is
    148 names of files that git or a shell takes for something else; names that differ in capitals only
    149 sparse checkout, split index, bits that hide changes, replaced objects, grafts
    150 modules of the repository that are called like ours
    151 settings and HEAD that git itself does not understand
    152 records of the run that are no records
    153 a result that was merged by somebody else's lock: files must not move when the branch does not
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BIN, Project
from tests.hostile.conftest import cases, everything, green, mortal, refuse, theirs

Make = Callable[..., Project]

ONE = "phases: {a: {run: 'cat README.md > a'}}"


def clone(p: Project, *options: str) -> None:
    """Go on in a clone."""
    p.git("clone", "--quiet", *options, f"file://{p.path}", "../clone")
    p.path = p.path.parent / "clone"


def again(p: Project, *options: str) -> None:
    """Begin the history anew, in a repository of another kind."""
    shutil.rmtree(p.path / ".git")
    p.git("init", "--quiet", "--initial-branch", "main", *options)
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        p.git("config", key, value)
    p.commit("start")


def two_sides(p: Project) -> None:
    """A branch `other` that conflicts with main."""
    p.git("checkout", "--quiet", "-b", "other")
    p.write("README.md", "theirs\n")
    p.commit("theirs")
    p.git("checkout", "--quiet", "main")
    p.write("README.md", "ours\n")
    p.commit("ours")


def during(*command: str, status: int = 1) -> Callable[[Project], None]:
    def arrange(p: Project) -> None:
        two_sides(p)
        p.run("git", *command, status=status)

    return arrange


def detached(p: Project) -> None:
    p.git("checkout", "--quiet", "--detach")


def dirty(p: Project) -> None:
    p.write("gone.txt", "tracked\n")
    p.commit()
    (p.path / "gone.txt").unlink()
    p.write("README.md", "staged\n")
    p.git("add", "README.md")
    p.write("README.md", "not staged\n")
    p.write("new.txt", "untracked\n")


def stashed(p: Project) -> None:
    p.write("README.md", "stashed\n")
    p.git("stash")


def reverting(p: Project) -> None:
    two_sides(p)
    p.write("README.md", "ours again\n")
    p.commit()
    p.run("git", "revert", "--no-edit", "HEAD~1", status=1)


def bisecting(p: Project) -> None:
    p.write("more", "x")
    p.commit()
    p.git("bisect", "start", "HEAD", "HEAD~1")


def shallow(p: Project) -> None:
    p.write("more", "x")
    p.commit()
    clone(p, "--depth=1")


def partial(p: Project) -> None:
    origin = p.path
    p.git("config", "uploadpack.allowFilter", "true")
    p.write("old", "x")
    p.commit()
    (p.path / "old").unlink()
    p.commit()
    clone(p, "--filter=blob:none")
    shutil.rmtree(origin)  # we are offline now


def linked(p: Project) -> None:
    p.git("config", "extensions.worktreeConfig", "true")
    p.git("worktree", "add", "--quiet", "../linked", "-b", "linked")
    p.path = p.path.parent / "linked"
    p.git("config", "--worktree", "core.abbrev", "10")


def settings(p: Project) -> None:
    """What a user may have set, each of which has stopped or misled such a tool."""
    hook = p.path.parent / "hooks/reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch '{p.path}/hooked'\nexit 1\n")
    hook.chmod(0o755)
    for key, value in (
        *(("core.hooksPath", str(hook.parent)), ("gc.auto", "1"), ("commit.gpgSign", "true"), ("tag.gpgSign", "true")),
        *(("gpg.program", "false"), ("core.autocrlf", "input"), ("core.safecrlf", "true"), ("core.editor", "false")),
        *(("core.pager", "false"), ("pager.log", "true"), ("color.ui", "always"), ("column.ui", "always")),
        *(("core.fsmonitor", "false"), ("core.untrackedCache", "true"), ("core.abbrev", "4"), ("core.quotePath", "true")),
        *(("merge.ff", "false"), ("merge.tool", "false"), ("pull.rebase", "true"), ("push.default", "nothing")),
        *(("diff.noprefix", "true"), ("diff.external", "false"), ("diff.renames", "copies"), ("log.showSignature", "true")),
        *(("status.showUntrackedFiles", "no"), ("format.pretty", "oneline"), ("i18n.commitEncoding", "latin-1")),
        *(("user.useConfigOnly", "true"), ("trailer.separators", "#"), ("core.commentChar", "A"), ("init.templateDir", "/nowhere")),
        *(("alias.add", "!false"), ("alias.commit-tree", "!false"), ("url.evil:.insteadOf", "/"), ("rerere.enabled", "true")),
        *(("commit.template", "/nowhere"), ("core.logAllRefUpdates", "always"), ("transfer.fsckObjects", "true")),
    ):  # fmt: skip
        p.run("git", "config", "--global", key, value)


def stale_locks(p: Project) -> None:
    for name in ("index", "HEAD", "config", "packed-refs", "shallow", "refs/heads/main", "refs/heads/adw/x"):
        path = p.path / f".git/{name}.lock"
        path.parent.mkdir(exist_ok=True)
        path.touch()


def no_identity(p: Project) -> None:
    p.git("config", "--unset", "user.name")
    p.git("config", "--unset", "user.email")
    p.run("git", "config", "--global", "user.useConfigOnly", "true")


def someone_elses_but_trusted(p: Project) -> None:
    another_owner(p)
    p.run("git", "config", "--global", "safe.directory", str(p.path))


def another_owner(p: Project) -> None:
    if os.geteuid():
        pytest.skip("only root can give a repository to somebody else")
    p.run("chown", "-R", "65534", str(p.path))


def missing_filter(p: Project) -> None:
    p.write(".gitattributes", "*.x filter=gone\n")
    p.write("data.x", "as it is\n")
    p.commit()
    for way in ("clean", "smudge"):
        p.git("config", f"filter.gone.{way}", "no-such-program")


def sparse(p: Project) -> None:
    p.write("in/a", "a")
    p.write("out/b", "b")
    p.commit()
    p.git("sparse-checkout", "set", "in")


def split_index(p: Project) -> None:
    p.git("update-index", "--split-index", "--untracked-cache", "--index-version", "4")


def hidden_changes(p: Project) -> None:
    p.write("README.md", "mine\n")
    p.git("update-index", "--assume-unchanged", "README.md")
    p.git("update-index", "--skip-worktree", "dodo.py")


def replaced(p: Project) -> None:
    blob = p.git("rev-parse", "HEAD:README.md")
    p.write("README.md", "evil\n")
    p.git("replace", blob, p.git("hash-object", "-w", "README.md"))
    p.write("README.md", "hello\n")


def grafted(p: Project) -> None:
    p.write("more", "x")
    p.commit()
    p.write(".git/info/grafts", p.git("rev-parse", "HEAD") + "\n")


def capitals(p: Project) -> None:
    for name in ("readme.md", "Readme.md", "README.MD"):
        p.write(name, name)
    p.commit()


def odd_names(p: Project) -> None:
    for name in (
        "-x",
        "--help",
        ":(top)x",
        "a b",
        "é",
        "e\u0301",
        "a\nb",
        'a"b',
        "*",
        "[a]",
        "CON",
        "x" * 255,
        "#",
        "!a",
    ):
        p.write(f"odd/{name}", name)
    (p.path / "odd" / os.fsdecode(b"\xff")).write_text("no text\n")
    p.commit()


def our_modules(p: Project) -> None:
    """`adws` and its workers import none of these, and neither does a phase of the embedded default."""
    for name in ("yaml", "git", "json", "doit", "adws", "typing", "sitecustomize", "usercustomize"):
        p.write(f"{name}.py", "raise SystemExit(77)\n")
    p.write("pyvenv.cfg", "home = /nowhere\n")
    p.write("setup.cfg", "[broken\n")
    p.write("doit.cfg", "[GLOBAL]\nbackend = nowhere\n")
    p.write("pyproject.toml", "[tool.doit]\nbackend = 'nowhere'\n[broken\n")
    p.commit()


def a_link_as_pipeline(p: Project) -> None:
    (p.path / "pipeline.yaml").rename(p.path.parent / "elsewhere.yaml")
    (p.path / "pipeline.yaml").symlink_to("../elsewhere.yaml")


def deep(p: Project) -> None:
    """A path that is longer than Windows takes, and one that no system call takes in one piece."""
    blob = p.git("rev-parse", "HEAD:README.md")
    for parts in ("c" * 200, "d" * 200), ("e" * 200,) * 16:
        p.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{'/'.join(parts)}")
    p.git("commit", "--quiet", "--message", "deep")


ACCEPTED: dict[str, Callable[[Project], None]] = {
    "D80-detached": detached,
    "D81-dirty": dirty,
    "D81-stash": stashed,
    "D82-merge": during("merge", "other"),
    "D82-rebase": during("rebase", "other"),
    "D82-cherry-pick": during("cherry-pick", "other"),
    "D82-revert": reverting,
    "D82-bisect": bisecting,
    "D83-shallow": shallow,
    "D84-partial-offline": partial,
    "D86-missing-filter": missing_filter,
    "D87-no-identity": no_identity,
    "D90-someone-elses-but-trusted": someone_elses_but_trusted,
    "D92-long-paths": deep,
    "D95-sha256": lambda p: again(p, "--object-format=sha256"),
    "D97-stale-locks": stale_locks,
    "D100-linked-worktree-with-settings": linked,
    "D101-settings": settings,
    "D148-capitals": capitals,
    "D148-odd-names": odd_names,
    "D149-sparse": sparse,
    "D149-split-index": split_index,
    "D149-hidden-changes": hidden_changes,
    "D149-replaced": replaced,
    "D149-grafted": grafted,
    "D150-our-modules": our_modules,
    "D150-a-link-as-pipeline": a_link_as_pipeline,
}


@cases("arrange", ACCEPTED)
def test_it_is_no_obstacle_and_stays_as_it_is(project: Make, arrange: Callable[[Project], None]):
    p = project(ONE)
    arrange(p)
    status, stash = p.run("git", "status", "--porcelain=v2", "--branch", status=None), p.git("stash", "list")
    before = theirs(p)
    p.adws("sdlc", "ADW_ID=x")
    assert theirs(p) == before
    assert p.git("diff", "--no-ext-diff", "--name-status", "HEAD", "adw/x").partition("\nhint:")[0] == "A\ta"
    assert p.git("--no-replace-objects", "rev-parse", "adw/x:a") == p.git(
        "--no-replace-objects", "rev-parse", "HEAD:README.md"
    )
    assert (p.run("git", "status", "--porcelain=v2", "--branch", status=None), p.git("stash", "list")) == (
        status,
        stash,
    )
    p.git("fsck", "--no-dangling", "--no-progress")
    assert not (p.path / "hooked").exists()


@pytest.mark.parametrize("program", ["adws", "doit"])
def test_d102_what_a_hook_is_started_with_does_not_lead_us_astray(project: Make, program: str):
    p, other = project(ONE), project(ONE, name="other")
    before = everything(other.path)
    names = ("GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
    env = {name: str(other.path / ".git") for name in names}
    env |= {
        "GIT_WORK_TREE": str(other.path),
        "GIT_INDEX_FILE": str(other.path / ".git/index"),
        "GIT_PREFIX": "x/",
    }
    env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.bare", "GIT_CONFIG_VALUE_0": "true"}
    env |= {
        "GIT_NAMESPACE": "evil",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_CEILING_DIRECTORIES": str(p.path.parent),
    }
    env |= {"GIT_CONFIG_PARAMETERS": "'core.bare=true'", "GIT_TRACE": "1", "GIT_EXEC_PATH": "/nowhere"}
    getattr(p, program)("sdlc", "ADW_ID=x", **env)
    assert p.git("show", "adw/x:a") == "hello"
    assert everything(other.path) == before


def test_d96_reftable(project: Make):
    p = project(ONE)
    shutil.rmtree(p.path / ".git")
    said = p.run("git", "init", "--quiet", "--ref-format=reftable", status=None)
    if "ref-format" in said:
        pytest.skip(f"{p.git('--version')} has no reftable; it came with git 2.45")
    for key, value in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        p.git("config", key, value)
    p.commit("start")
    p.adws("sdlc", "ADW_ID=x")
    assert p.git("show", "adw/x:a") == "hello"


def test_d91_a_file_system_that_ignores_case(project: Make, tmp_path: Path):
    """What can be seen of it on one that does not: git's own setting, which `git init` makes there."""
    p = project("phases: {a: {run: 'echo a > a; echo more >> README.md'}}")
    p.git("config", "core.ignoreCase", "true")
    green(p, "sdlc")
    assert p.tree("adw/x")["README.md"] == "hello\nmore"
    (tmp_path / "case").touch()
    if not (tmp_path / "CASE").exists():
        pytest.skip(
            "no file system here ignores case (this kernel has none); only git's own setting was tried"
        )


# ---- what cannot be used


def nothing(p: Project) -> None:
    shutil.rmtree(p.path / ".git")


def bare(p: Project) -> None:
    p.git("clone", "--quiet", "--bare", ".", "../bare.git")
    p.path = p.path.parent / "bare.git"


def no_commit(p: Project) -> None:
    shutil.rmtree(p.path / ".git")
    p.git("init", "--quiet")


def orphan(p: Project) -> None:
    p.git("checkout", "--quiet", "--orphan", "fresh")


def broken(name: str, content: str) -> Callable[[Project], None]:
    return lambda p: p.write(f".git/{name}", content)


def corrupt(rev: str) -> Callable[[Project], None]:
    def arrange(p: Project) -> None:
        oid = p.git("rev-parse", rev)
        path = p.path / ".git/objects" / oid[:2] / oid[2:]
        path.chmod(0o644)
        path.write_bytes(b"junk")

    return arrange


def missing(rev: str) -> Callable[[Project], None]:
    def arrange(p: Project) -> None:
        oid = p.git("rev-parse", rev)
        (p.path / ".git/objects" / oid[:2] / oid[2:]).unlink()

    return arrange


REFUSED: dict[str, tuple[Callable[[Project], None], str]] = {
    "D77-no-repository": (
        nothing,
        "{path} is not in a git repository; change into one, or make one: git init",
    ),
    "D78-bare": (bare, "{path} is a bare repository; adws needs a checkout: git clone {path}"),
    "D79-no-commit": (
        no_commit,
        "{path} has no commit yet; make a first one: git commit --allow-empty -m start",
    ),
    "D79-orphan": (orphan, "{path} has no commit yet; make a first one: git commit --allow-empty -m start"),
    "D151-settings": (broken("config", "[core"), ".*bad config line [12] in file .git/config"),
    "D151-head": (
        broken("HEAD", "garbage"),
        "{path} is not in a git repository; change into one, or make one: git init",
    ),
    "D151-newer-format": (
        broken("config", "[core]\nrepositoryFormatVersion = 99\n"),
        ".*Expected git repo version <= 1, found 99",
    ),
    "D151-unknown-extension": (
        broken("config", "[core]\nrepositoryFormatVersion = 1\n[extensions]\nnoSuch = 1\n"),
        ".*unknown repository extension found: nosuch",
    ),
}


@cases(("arrange", "said"), REFUSED)
def test_it_is_refused_and_nothing_is_created(project: Make, arrange: Callable[[Project], None], said: str):
    p = project(ONE)
    arrange(p)
    assert re.fullmatch(said.format(path=p.path) + "\n", refuse(p, "sdlc", "ADW_ID=x"))


POOR: dict[str, tuple[Callable[[Project], None], str]] = {
    "D90-another-owner": (
        another_owner,
        "{path} belongs to another user; .*git config --global --add safe.directory {path}",
    ),
    "D98-corrupt-commit": (corrupt("HEAD"), ".*(corrupt|cannot be read|broken).*git fsck.*"),
    "D98-missing-commit": (missing("HEAD"), ".*(missing|cannot be read|broken).*git fsck.*"),
}


@cases(("arrange", "said"), POOR)
def test_it_is_refused_with_what_now(project: Make, arrange: Callable[[Project], None], said: str):
    p = project(ONE)
    arrange(p)
    assert re.fullmatch(said.format(path=p.path) + "\n", refuse(p, "sdlc", "ADW_ID=x"))


@pytest.mark.parametrize("fault", [corrupt, missing])
@pytest.mark.parametrize("rev", ["HEAD:README.md", "HEAD^{tree}"])
def test_d98_a_broken_object_stops_it_and_costs_nothing(
    project: Make, rev: str, fault: Callable[..., object]
):
    p = project(ONE)
    fault(rev)(p)  # type: ignore[operator]
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=None)
    assert "Traceback" not in said
    assert "passed" not in said
    assert theirs(p) == before
    assert not (p.path / ".git/refs/heads/adw").exists()


def test_d98_a_broken_object_is_named(project: Make):
    p = project(ONE)
    oid = p.git("rev-parse", "HEAD:README.md")
    corrupt("HEAD:README.md")(p)
    assert oid in p.adws("sdlc", "ADW_ID=x", status=2)


def test_d84_a_partial_clone_that_misses_files_says_where_they_are(project: Make):
    p = project(ONE)
    origin = p.path
    p.git("config", "uploadpack.allowFilter", "true")
    clone(p, "--filter=blob:none", "--no-checkout")
    shutil.copy(origin / "pipeline.yaml", p.path / "pipeline.yaml")
    origin.rename(origin.with_name("offline"))
    said = p.adws("sdlc", "ADW_ID=x", status=2)
    assert f"ERROR a: fatal: '{origin}' does not appear to be a git repository" in said
    assert "Traceback" not in said
    origin.with_name("offline").rename(origin)
    p.adws("sdlc", "ADW_ID=x")
    assert p.git("show", "adw/x:a") == "hello"


def test_d85_a_submodule_is_there_as_the_user_has_it(project: Make):
    p, lib = project("phases: {a: {run: cat lib/README.md > a}}"), project(name="lib")
    p.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib.path), "lib")
    p.commit()
    green(p, "sdlc")
    assert p.git("show", "adw/x:a") == "hello"
    p.write("pipeline.yaml", "version: 1\nphases: {a: {run: echo lost > lib/README.md}}\n")
    said = p.adws("sdlc", "ADW_ID=y", status=1)
    assert (
        "FAILED a: left what cannot be captured: changes inside of submodule lib; they belong into its own"
        in said
    )


def test_d85_a_submodule_that_the_user_gave_up_is_gone_from_a_warm_slot_too(project: Make):
    p, lib = project("phases: {a: {run: ls -A lib > a}}"), project(name="lib")
    p.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib.path), "lib")
    p.commit()
    p.adws("sdlc", "ADW_ID=x")
    p.git("submodule", "--quiet", "deinit", "--force", "lib")
    p.adws("sdlc", "ADW_ID=y")
    assert p.git("show", "adw/y:a") == ""


def test_d86_without_git_lfs_one_line_says_so(project: Make, tmp_path: Path):
    p = project(ONE, **{".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    p.git("config", "filter.lfs.process", "git-lfs filter-process")
    p.git("config", "filter.lfs.required", "true")
    path = tmp_path / "only-git"
    path.mkdir()
    (path / "git").symlink_to(shutil.which("git") or "")
    said = refuse(p, "sdlc", "ADW_ID=x", PATH=str(path))
    assert said == f"{p.path} keeps files in Git LFS, and git-lfs is not there; install it: git-lfs.com\n"


def test_d86_a_filter_that_has_to_be_and_is_not_is_named(project: Make):
    p = project(ONE)
    missing_filter(p)
    p.git("config", "filter.gone.required", "true")
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=2)
    assert "ERROR a: error: cannot run no-such-program: No such file or directory" in said
    assert theirs(p) == before


def test_d88_a_read_only_git_directory(project: Make):
    p = project(ONE)
    folders = [p.path / ".git", *(path for path in (p.path / ".git").rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    before = everything(p.path)
    said = mortal(p)("sdlc", "ADW_ID=x", status=3)
    after = everything(p.path)
    for folder in folders:
        folder.chmod(0o755)
    assert after == before
    assert len(said.splitlines()) == 1
    assert re.search(
        f"permission denied.*{p.path}/.git|{p.path}/.git.*permission denied", said, re.IGNORECASE
    )


@pytest.mark.parametrize("name", [".git/adws", ".adws"])
def test_d147_a_file_in_the_way_is_told_in_our_words(project: Make, name: str):
    p = project(ONE)
    (p.path / name).write_text("in the way")
    said = p.adws("sdlc", "ADW_ID=x", status=3)
    assert re.fullmatch(f"{p.path}/{name}\\S*.*: (not a directory|file exists).*\n", said)
    assert "Errno" not in said


def test_d147_a_link_that_the_repository_brings_along_leads_nowhere(project: Make):
    p = project(ONE)
    lure = p.path.parent / "lure"
    lure.mkdir()
    (p.path / ".adws").symlink_to(lure)
    p.commit()
    said = p.adws("sdlc", "ADW_ID=x", status=3)
    assert not list(lure.iterdir())
    assert said.startswith(f"{p.path}/.adws is a link")


def test_d147_nor_does_one_below_it(project: Make):
    p = project(ONE)
    lure = p.path.parent / "lure"
    lure.mkdir()
    (p.path / ".adws").mkdir()
    (p.path / ".adws/runs").symlink_to(lure)
    p.git("add", "--force", ".adws")
    p.git("commit", "--quiet", "--message", "lure")
    p.adws("sdlc", "ADW_ID=x", status=3)
    assert not list(lure.iterdir())


def test_d92_a_path_that_no_file_system_takes_is_told(project: Make):
    p = project(ONE)
    blob = p.git("rev-parse", "HEAD:README.md")
    p.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{'/'.join(['d' * 200] * 22)}")
    p.git("commit", "--quiet", "--message", "deep")
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=2)
    assert re.search("ERROR a: .*(cannot create directory|File name too long)", said)
    assert theirs(p) == before


def tools(p: Project, git: str) -> str:
    path = p.path.parent / "tools"
    path.mkdir()
    if git:
        (path / "git").write_text(git)
        (path / "git").chmod(0o755)
    return str(path)


GITS = {
    "D93-no-git": ("", "git is not installed or not on PATH; adws needs git 2.38 or newer"),
    "D94-git-2.34": (
        "#!/bin/sh\necho git version 2.34.1\n",
        "adws needs git 2.38 or newer for `merge-tree --write-tree`; this is git 2.34.1",
    ),
    "D94-git-of-the-future": (
        "#!/bin/sh\necho git version weird\n",
        "adws needs git 2.38 or newer for `merge-tree --write-tree`; this is git weird",
    ),
    "D94-git-1": (
        "#!/bin/sh\necho 'git version 1.8.3.1 (Apple Git-1)'\n",
        "adws needs git 2.38 or newer for `merge-tree --write-tree`; this is git 1.8.3.1",
    ),
}


@cases(("git", "said"), GITS)
def test_git_itself(project: Make, git: str, said: str):
    p = project(ONE)
    path = tools(p, git)
    for tool in ("adws", "doit"):
        assert refuse(p, "sdlc", "ADW_ID=x", tool=tool, PATH=path) == said + "\n"


@pytest.mark.parametrize("git", ["exit 1", "echo", "echo hello", "exec not-there"])
def test_d93_what_is_called_git_and_is_none(project: Make, git: str):
    p = project(ONE)
    said = refuse(p, "sdlc", "ADW_ID=x", PATH=tools(p, f"#!/bin/sh\n{git}\n"))
    assert re.fullmatch("adws needs git 2.38 or newer.*\n", said)


def test_d97_a_lock_on_the_users_branch_is_told(project: Make):
    p = project(f"{ONE}\nmerge: {{into: main}}")
    (p.path / ".git/refs/heads/main.lock").touch()
    tip = p.git("rev-parse", "main")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "FAILED merge: branch `main` was not moved: " in said
    assert re.search(r"main.lock': File exists.*the commit is kept: [0-9a-f]{40}", said)
    assert p.git("rev-parse", "main") == tip


def test_d153_where_the_branch_does_not_move_the_files_do_not_either(project: Make):
    p = project(f"{ONE}\nmerge: {{into: main}}")
    (p.path / ".git/refs/heads/main.lock").touch()
    p.write("mine.txt", "mine\n")
    before = p.git("status", "--porcelain"), p.git("ls-files", "--stage")
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert (p.git("status", "--porcelain"), p.git("ls-files", "--stage")) == before


def test_d99_a_branch_called_adw_leaves_no_place_for_ours(project: Make):
    p = project(ONE)
    p.git("branch", "adw")
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert re.search(
        r"branch `adw/x` was not moved: .*'refs/heads/adw' exists; .*the commit is kept: (\S+)", said
    )
    assert theirs(p) == before
    p.git("branch", "-m", "adw", "mine")
    p.adws("sdlc", "ADW_ID=x")
    assert p.git("show", "adw/x:a") == "hello"


def moved_to(name: str | bytes) -> Callable[[Project], None]:
    def arrange(p: Project) -> None:
        p.path = p.path.rename(p.path.with_name(os.fsdecode(name)))

    return arrange


PLACES = {
    "D144-space": "a b",
    "D144-shell": "a'b\"c;$(touch pwned)&",
    "D144-dash": "-x",
    "D144-colon": "a:b",
    "D144-unicode": "é日本\u0301",
    "D144-bidi": "a\u202eb",
    "D144-glob": "[a]*?",
    "D144-hash": "#a",
    "D144-percent": "%s%(x)s{0}",
    "D144-backslash": "a\\b",
    "D144-no-text": b"a\xffb",
    "D144-long": "x" * 255,
}


@cases("name", PLACES)
def test_a_repository_may_lie_anywhere(project: Make, name: str | bytes):
    p = project(ONE)
    moved_to(name)(p)
    before = theirs(p)
    p.run(str(BIN / "adws"), "sdlc", "ADW_ID=x", PYTHONIOENCODING="utf-8:backslashreplace")
    assert theirs(p) == before
    assert p.git("show", "adw/x:a") == "hello"
    assert not list(p.path.parent.rglob("pwned"))
    p.run(str(BIN / "adws"), "sdlc", "ADW_ID=y", f"REPO={p.path}", cwd=p.path.parent)


@pytest.mark.parametrize("name", ["a\nb", "a\n", "\n"])
def test_d144_a_line_break_in_the_path_is_told(project: Make, name: str):
    """git's own file of alternates has one path a line, so this cannot work."""
    p = project(ONE)
    moved_to(name)(p)
    said = refuse(p, "sdlc", "ADW_ID=x")
    assert len(said.splitlines()) == 1
    assert "line break" in said


def test_d145_inside_of_the_git_directory(project: Make):
    p = project(ONE)
    said = refuse(p, "sdlc", "ADW_ID=x", cwd=p.path / ".git")
    assert said == f"{p.path}/.git is inside of a git directory; change into the checkout\n"


def test_d145_a_file_as_repository(project: Make):
    p = project(ONE)
    said = refuse(p, "sdlc", "ADW_ID=x", "REPO=README.md")
    assert said == f"{p.path}/README.md is not a directory; name the repository's folder\n"


def test_d145_a_directory_that_is_gone(project: Make):
    p = project(ONE)
    script = f"mkdir gone; cd gone; rmdir ../gone; exec '{BIN}/adws' sdlc ADW_ID=x"
    said = p.run("sh", "-c", script, status=3)
    assert said == "the directory you are in is gone; change into the repository\n"


IDENTITIES = {
    "D146-nothing-left": {"user.name": "<>", "user.email": "<>"},
    "D146-dots": {"user.name": ".,;", "user.email": "a@b"},
}


@cases("identity", IDENTITIES)
def test_a_name_that_git_takes_for_none_is_no_obstacle(project: Make, identity: dict[str, str]):
    p = project(ONE)
    for key, value in identity.items():
        p.git("config", key, value)
    green(p, "sdlc")


@pytest.mark.parametrize("name", ["A\nB", "A\nauthor Eve <e@x> 0 +0000\n\nEvil", "é\u202e", "x" * 5000])
def test_d146_a_name_cannot_forge_a_commit(project: Make, name: str):
    p = project(ONE)
    p.git("config", "user.name", name)
    green(p, "sdlc")
    head = p.git("cat-file", "commit", "adw/x").partition("\n\n")[0].splitlines()
    assert [line.partition(" ")[0] for line in head] == ["tree", "parent", "author", "committer"]


def test_d150_the_embedded_default_runs_nothing_of_the_repository(project: Make):
    p = project()
    our_modules(p)
    assert p.adws("scout", "ADW_ID=x").count("passed") >= 1


@pytest.mark.parametrize("what", ["blob", "foreign commit", "tag"])
def test_d152_a_record_that_is_none_counts_as_not_there(project: Make, what: str):
    p = project(ONE)
    p.adws("sdlc", "ADW_ID=x")
    p.git("tag", "-a", "-m", "t", "t")
    oid = p.git("rev-parse", {"blob": "HEAD:README.md", "foreign commit": "HEAD", "tag": "t"}[what])
    p.git("update-ref", "refs/adws/x/a", oid)
    said = p.adws("sdlc", "ADW_ID=x")
    assert re.search(r"^a +passed", said, re.MULTILINE)
    del p.env["ISSUE"]
    p.git("update-ref", "refs/adws/x/run", oid)
    assert "run x is not known in" in p.adws("sdlc", "ADW_ID=x", status=3)


# ---- a full disk: a small file system in a mount namespace of its own, so nothing is left mounted

FULL = r"""
set -e
exec 2>&1
mount -t tmpfs -o size=4m adws-full "$1"
shift
[ ! -d "$SEED" ] || cp -a "$SEED/." "$PLACE"
dd if=/dev/zero of="$PLACE/fill" bs=4k count="${COUNT:-100000}" 2>/dev/null || true
cd "$WHERE"
status=0
"$@" || status=$?
rm "$PLACE/fill"
echo "status: $status"
git fsck --no-dangling --no-progress && git status --porcelain
"$ADWS" sdlc ADW_ID=x
git show adw/x:a
"""


def full(p: Project, place: Path, count: int = 100_000, seed: Path | None = None) -> str:
    """What is said when `place` is full but for some blocks, and then again when it is not."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("needs root and unshare, to mount a small file system")
    if p.run("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt && echo ok", status=None) != "ok\n":
        pytest.skip("nothing can be mounted here")
    place.mkdir(parents=True, exist_ok=True)
    adws = str(BIN / "adws")
    env = {
        "PLACE": str(place),
        "WHERE": str(p.path),
        "ADWS": adws,
        "COUNT": str(count),
        "SEED": str(seed or ""),
    }
    return p.run("unshare", "--mount", "sh", "-c", FULL, "sh", str(place), adws, "sdlc", "ADW_ID=x", **env)


def check_full(said: str) -> None:
    assert "Traceback" not in said
    found = re.search(r"^status: (\d)$", said, re.MULTILINE)
    assert found
    assert found[1] in "0123"
    if found[1] != "0":
        assert re.search(
            "no space left|could(n't| not) write|unable to (write|create)|write error|failed to",
            said,
            re.IGNORECASE,
        )
    assert said.rstrip().endswith("hello")


FILLED = {"D89-cache": "home/cache", "D89-logs": "repo/.adws", "D89-locks": "repo/.git/adws"}


@cases("name", FILLED)
def test_a_full_disk_is_told_and_the_same_command_goes_on(project: Make, name: str):
    p = project(ONE)
    p.write(".gitignore", ".adws\n")
    p.commit()
    check_full(full(p, p.path.parent / name))


def test_d89_a_full_disk_under_the_repository(project: Make):
    p = project(ONE)
    seed = p.path.rename(p.path.with_name("seed"))
    p.path.mkdir()
    try:
        check_full(full(p, p.path, seed=seed))
    finally:
        assert not list(p.path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("left", range(0, 60, 3))
def test_d89_wherever_the_disk_gets_full_the_same_command_goes_on(project: Make, left: int):
    """4 MiB are 1024 blocks; what the repository takes of them is about 60."""
    p = project(ONE)
    seed = p.path.rename(p.path.with_name("seed"))
    p.path.mkdir()
    blocks = sum(
        -(-path.stat().st_size // 4096) for path in seed.rglob("*") if stat.S_ISREG(path.lstat().st_mode)
    )
    check_full(full(p, p.path, count=1024 - blocks - left, seed=seed))
