"""Repositories that keep files elsewhere: submodules and Git LFS. It works, or one line says why not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stories.test_resume import start
from tests.zoo import wait_until

ALLOW = ("-c", "protocol.file.allow=always")


@pytest.fixture
def with_submodule(project, tmp_path):
    """`with_submodule(phases)`: a repository with the submodule `vendor/lib`, which has one of its own."""

    def make(phases, *clone_options):
        inner, lib = tmp_path / "inner", tmp_path / "lib"
        p = project(phases, **{".gitignore": ""})
        for path, file in ((inner, "deep.txt"), (lib, "lib.txt")):
            p.run("git", "init", "-q", "-b", "main", str(path))
            (path / file).write_text("one\n")
            p.run("git", "-C", str(path), "add", "-A")
            p.run("git", "-C", str(path), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        p.run("git", *ALLOW, "-C", str(lib), "submodule", "--quiet", "add", str(inner), "inner")
        p.run("git", *who, "-C", str(lib), "commit", "-qm", "inner")
        p.git(*ALLOW, "submodule", "--quiet", "add", str(lib), "vendor/lib")
        p.git(*ALLOW, "submodule", "--quiet", "update", "--init", "--recursive")
        p.commit("vendor")
        return p

    return make


def test_a_phase_sees_the_submodules_as_the_user_does(with_submodule):
    p = with_submodule(
        "phases: {a: {run: cat vendor/lib/lib.txt vendor/lib/inner/deep.txt > seen; git status --short}}"
    )
    p.doit("sdlc", "ADW_ID=x")
    assert p.git("show", "adw/x:seen") == "one\none"
    assert p.log("x", "a") == "?? seen\n"  # to git in the workspace too all is as it should be
    assert p.git("diff", "--name-only", "main", "adw/x") == "seen"
    again = p.doit("sdlc", "ADW_ID=y")  # the same slot, warm
    assert "passed" in again


@pytest.mark.parametrize(
    "change",
    [
        "rm vendor/lib/inner/deep.txt",
        "cd vendor/lib; echo 2 > lib.txt; git -c user.name=a -c user.email=a@b commit -qam 2",
        pytest.param("echo two > vendor/lib/lib.txt", marks=pytest.mark.slow),
        pytest.param("echo new > vendor/lib/new", marks=pytest.mark.slow),
        pytest.param("rm -rf vendor/lib/.git; echo two > vendor/lib/lib.txt", marks=pytest.mark.slow),
    ],
)
def test_a_change_inside_a_submodule_is_a_failure_and_not_lost_in_silence(with_submodule, change):
    p = with_submodule(f"phases: {{a: {{run: '{change}'}}}}")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "FAILED a: left what cannot be captured: changes inside of submodule vendor/lib" in said
    assert "they belong into its own repository" in said
    p.write(
        "pipeline.yaml",
        "version: 1\nphases: {a: {run: cat vendor/lib/lib.txt vendor/lib/inner/deep.txt > seen}}\n",
    )
    p.doit("sdlc", "ADW_ID=x")  # the slot is clean again
    assert p.git("show", "adw/x:seen") == "one\none"


def test_a_submodule_that_the_user_does_not_have_is_the_same_empty_directory(with_submodule):
    p = with_submodule("phases: {a: {run: ls -A vendor/lib > seen}}")
    p.git("submodule", "--quiet", "deinit", "--all", "--force")
    p.doit("sdlc", "ADW_ID=x")
    assert p.git("show", "adw/x:seen") == ""
    p.write("pipeline.yaml", "version: 1\nphases: {a: {run: touch vendor/lib/lost}}\n")
    assert "changes inside of submodule vendor/lib" in p.doit("sdlc", "ADW_ID=y", status=1)


def test_a_phase_may_remove_a_submodule(with_submodule):
    p = with_submodule(
        "phases: {a: {run: rm -r vendor; git rm -q -f vendor/lib, writes: [.gitmodules, 'vendor/**']}}"
    )
    p.doit("sdlc", "ADW_ID=x")
    assert "vendor/lib" not in p.git("ls-tree", "-r", "--name-only", "adw/x")


needs_lfs = pytest.mark.skipif(not shutil.which("git-lfs"), reason="needs git-lfs: apt install git-lfs")
POINTER = "version https://git-lfs.github.com/spec/v1"


@pytest.fixture
def with_lfs(project):
    def make(phases):
        p = project(phases, **{".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
        p.git("lfs", "install", "--local", "--skip-repo")
        p.write("big.bin", "content\n")
        p.commit("big")
        assert p.git("show", "main:big.bin").startswith(POINTER)
        return p

    return make


@needs_lfs
def test_lfs_files_are_there_and_changed_ones_are_kept(with_lfs):
    p = with_lfs("phases: {a: {run: cat big.bin; echo more >> big.bin; echo fresh > new.bin}}")
    p.doit("sdlc", "ADW_ID=x")
    assert p.log("x", "a") == "content\n"
    assert p.git("show", "adw/x:big.bin").startswith(POINTER)
    p.git("checkout", "--quiet", "adw/x")
    assert (p.path / "big.bin").read_text() == "content\nmore\n"
    assert (p.path / "new.bin").read_text() == "fresh\n"


@needs_lfs
def test_without_git_lfs_one_line_says_so_before_anything_runs(with_lfs, tmp_path):
    p = with_lfs("phases: {a: {run: 'true'}}")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to(Path(shutil.which("git") or "").resolve())
    said = p.doit("sdlc", "ADW_ID=x", status=3, PATH=str(tools))
    assert said == f"{p.path} keeps files in Git LFS, and git-lfs is not there; install it: git-lfs.com\n"
    assert p.git("for-each-ref", "refs/adws/") == ""


@pytest.mark.parametrize("branch", [b"caf\xe9", "a\u2028b".encode()])
def test_names_that_are_no_text_are_names(project, branch: bytes):
    p = project(
        "phases: {a: {run: 'echo a > a; mkdir gen; echo x > gen/$(printf \"caf\\\\351\")', inputs: ['**'], outputs: gen/**}}"
    )
    (p.path / "no").write_text("text")
    (p.path / "no").rename(p.path / os.fsdecode(b"caf\xe9.txt"))
    p.commit("second")
    subprocess.run([b"git", b"branch", branch], cwd=p.path, env=p.env, check=True)
    p.doit("sdlc", "ADW_ID=x")
    assert p.git("show", "adw/x:a") == "a"


def test_the_user_may_move_a_branch_whose_name_is_no_text(project):
    p = project(
        "phases: {a: {run: 'echo a > a; touch $HOME/begun; until test -e $HOME/moved; do sleep 0.05; done'}}"
    )
    branch = os.fsdecode(b"caf\xe9")
    p.git("branch", branch)
    run = start(p)
    wait_until((p.path.parent / "home/begun").exists)
    p.git("checkout", "--quiet", branch)
    p.write("mine", "mine\n")
    p.commit("mine")
    (p.path.parent / "home/moved").touch()
    said = run.communicate(timeout=60)[0]
    assert run.returncode == 0, said
