"""Bad input gets one clear line and exit code 3, and nothing is created."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BIN, Project

ONE = "phases: {build: {run: echo a > a}}"


def untouched(p: Project) -> bool:
    state = p.git("for-each-ref", "refs/adws"), (p.path / ".adws").exists(), (p.path / ".git/adws").exists()
    return state == ("", False, False)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["sdlc", "ADW_ID="], "ADW_ID '' cannot be used; an id has letters"),
        (["sdlc", "ADW_ID=.."], "ADW_ID '..' cannot be used; an id has letters"),
        (["sdlc", "ADW_ID=../../heads/main"], "cannot be used"),
        (["sdlc", "ADW_ID=/etc"], "cannot be used"),
        (["sdlc", "ADW_ID=-x"], "cannot be used"),
        (["sdlc", "ADW_ID=a.lock"], "cannot be used"),
        (["sdlc", "ADW_ID=@{1}"], "cannot be used"),
        (["sdlc", "ADW_ID=a\nb"], r"ADW_ID 'a\nb' cannot be used"),
        (["sdlc", "ADW_ID=é"], "cannot be used"),
        (["sdlc", "ADW_ID=" + "a" * 65], "cannot be used"),
        (["sdlc", "ADW_ID=$(id)"], "cannot be used"),
        (["sdlc", "ADW_IDD=x"], "unknown variable `ADW_IDD`; did you mean `ADW_ID`?"),
        (["sdlc", "ISSUE=nowhere.md"], "issue nowhere.md does not exist"),
        (["sdlc", "ISSUE=."], "issue . is not a file"),
        (["sdlc", "REPO=nowhere"], "nowhere is not a directory; name the repository's folder"),
        (["sdlc", "AGENT=nobody"], "pipeline.yaml: unknown agent `nobody` (agents there: none)"),
    ],
)
def test_a_bad_call_is_one_line(project: Callable[..., Project], args: list[str], said: str):
    p = project(ONE)
    for command in (p.doit, p.adws):
        out = command(*args, status=3)
        assert said in out
        assert len(out.splitlines()) == 1
    assert untouched(p)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; write down what is to be done"),
        (b" \n\t\n", "is empty; write down what is to be done"),
        (b"a\0b", "is a binary file; an issue is text"),
        (b"caf\xe9 \n", "is not UTF-8 at byte 3; save it as UTF-8"),
        (b"x" * (1 << 20) + b"y", "is longer than 1 MiB; give the phases the part that matters"),
    ],
)
def test_an_issue_that_is_none_is_refused(project: Callable[..., Project], content: bytes, said: str):
    p = project(ONE)
    path = p.path.parent / "bad.md"
    path.write_bytes(content)
    assert p.doit("sdlc", f"ISSUE={path}", status=3) == f"issue {path} {said}\n"
    assert untouched(p)


def test_an_unknown_run_without_an_issue_is_told_so(project: Callable[..., Project]):
    p = project(ONE)
    del p.env["ISSUE"]
    said = f"run x is not known in {p.path}; give it an issue: ISSUE=path.md\n"
    assert p.doit("sdlc", "ADW_ID=x", status=3) == said


def test_an_id_that_differs_only_in_case_is_refused(project: Callable[..., Project]):
    p = project(ONE)
    p.doit("sdlc", "ADW_ID=run")
    said = "run run exists; RUN would be the same on a file system that ignores case\n"
    assert p.doit("sdlc", "ADW_ID=RUN", status=3) == said


def test_an_unknown_workflow_or_phase_is_named_with_the_nearest(project: Callable[..., Project]):
    p = project(ONE)
    said = "there is no workflow or phase `biuld` in pipeline.yaml; did you mean `build`?\n"
    assert p.adws("biuld", "ADW_ID=x", status=3) == said
    assert 'Invalid parameter: "biuld"' in p.doit("biuld", "ADW_ID=x", status=3)
    assert untouched(p)


def test_a_broken_pipeline_is_told_with_place_and_source(project: Callable[..., Project]):
    p = project("phases:\n  build: {run: ls}\n  test: {needs: biuld, run: ls}")
    said = p.doit("sdlc", status=3)
    assert said.startswith("pipeline.yaml:4:17: ")
    assert "did you mean `build`?" in said
    assert untouched(p)


def nothing(path: Path, p: Project) -> None:
    path.mkdir()


def bare(path: Path, p: Project) -> None:
    p.git("init", "-q", "--bare", str(path))


def empty(path: Path, p: Project) -> None:
    p.git("init", "-q", str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (nothing, r"\S+ is not in a git repository; change into one, or make one: git init"),
        (bare, r"\S+ is a bare repository; adws needs a checkout: git clone \S+"),
        (empty, r"\S+ has no commit yet; make a first one: git commit --allow-empty -m start"),
    ],
)
def test_a_repository_that_cannot_be_used_is_told(
    project: Callable[..., Project], make: Callable[[Path, Project], None], said: str
):
    p = project(ONE)
    path = p.path.parent / "other"
    make(path, p)
    (path / "issue.md").write_text("# x\n")
    files = sorted(path.rglob("*"))
    out = p.adws("sdlc", f"ISSUE={path}/issue.md", cwd=path, status=3)
    assert re.fullmatch(said + "\n", out)
    assert sorted(path.rglob("*")) == files


def test_no_git_and_an_old_git_are_told(project: Callable[..., Project]):
    p = project(ONE)
    tools = p.path.parent / "bin"
    tools.mkdir()
    missing = "git is not installed or not on PATH; adws needs git 2.38 or newer\n"
    assert p.adws("sdlc", status=3, PATH=str(tools)) == missing
    (tools / "git").write_text("#!/bin/sh\necho git version 2.34.1\n")
    (tools / "git").chmod(0o755)
    old = "adws needs git 2.38 or newer for `merge-tree --write-tree`; this is git 2.34.1\n"
    assert p.adws("sdlc", status=3, PATH=str(tools)) == old
    assert untouched(p)


def test_a_repository_that_cannot_be_written_is_one_line(project: Callable[..., Project]):
    p = project(ONE)
    (p.path / ".git/adws").write_text("in the way")
    said = p.doit("sdlc", "ADW_ID=x", status=3)
    assert len(said.splitlines()) == 1


def test_a_reader_that_goes_away_does_not_stop_the_run(project: Callable[..., Project]):
    p = project(ONE)
    assert "Traceback" not in p.run(
        "sh", "-c", "doit sdlc ADW_ID=x | head -n 1", PATH=f"{BIN}:{p.env['PATH']}"
    )
    assert "a" in p.tree("adw/x")


def test_closed_standard_streams_are_no_obstacle(project: Callable[..., Project]):
    p = project(ONE)
    p.run("sh", "-c", "doit sdlc ADW_ID=x <&- >&- 2>&-", PATH=f"{BIN}:{p.env['PATH']}")
    assert "a" in p.tree("adw/x")


@pytest.mark.parametrize("args", [["-n", "-1", "sdlc"], ["zz*"], ["run", "--single", "sdlc"]])
def test_a_call_that_runs_nothing_is_no_success(project: Callable[..., Project], args: list[str]):
    p = project(ONE)
    assert "nothing was run; name a phase or a workflow" in p.doit(*args, "ADW_ID=x", status=3)


def test_what_the_user_just_excluded_is_not_captured(project: Callable[..., Project]):
    p = project("phases: {a: {run: echo k > b.key; echo t > b.txt}}")
    p.doit("sdlc", "ADW_ID=x")
    (p.path / ".git/info/exclude").write_text("*.key\n")
    p.doit("sdlc", "ADW_ID=y")
    assert "b.key" in p.tree("adw/x")
    assert set(p.tree("adw/y")) - set(p.tree("main")) == {"b.txt"}


def test_bytes_stay_as_the_users_attributes_want_them(project: Callable[..., Project]):
    p = project("phases: {a: {run: 'printf \"a\\r\\n\" > new.bin'}}")
    p.git("config", "core.autocrlf", "input")
    (p.path / ".git/info").mkdir(exist_ok=True)
    (p.path / ".git/info/attributes").write_text("*.bin -text\n")
    p.doit("sdlc", "ADW_ID=x")
    assert p.run("git", "cat-file", "-s", "adw/x:new.bin") == "3\n"


@pytest.mark.parametrize(
    "settings",
    [
        {"user.name": "Ren\udce9"},
        {"user.name": "", "user.email": ""},
        {"merge.autoStash": "true", "commit.gpgSign": "true"},
    ],
)
def test_odd_settings_are_no_obstacle(project: Callable[..., Project], settings: dict[str, str]):
    p = project(ONE)
    for key, value in settings.items():
        p.git("config", key, value)
    p.doit("sdlc", "ADW_ID=x")


def test_a_result_nested_too_deep_is_a_failure_with_its_own_words(project: Callable[..., Project]):
    deep = '{"a":' * 900 + "1" + "}" * 900
    p = project(f"phases:\n  a:\n    run: |\n      echo '{deep}' > $ADW_OUT/result.json\n")
    assert "FAILED a: left a result.json nested deeper than 50" in p.doit("sdlc", "ADW_ID=x", status=1)
