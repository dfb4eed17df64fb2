"""B: ADW_ID, which becomes a path, a branch and a ref.

Further than the list goes:

    136 an id in bytes that are no UTF-8
    137 an id given twice, and as a word of its own
    138 ids that look alike, from the environment, padded
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import BIN, Project
from tests.hostile.conftest import cases, everything, green, refuse, theirs

Make = Callable[..., Project]

ONE = "phases: {a: {run: echo $ADW_ID > a}}"
RULE = "an id has letters, digits, `-` and `_`, at most 64, the first a letter or digit"

REFUSED = {
    "B45-empty": "",
    "B45-blank": " ",
    "B46-dots": "..",
    "B46-a-dot": ".",
    "B46-dots-inside": "a..b",
    "B47-a-way-to-main": "../../heads/main",
    "B48-absolute": "/etc",
    "B49-option": "-x",
    "B50-help": "--help",
    "B51-dot-lock": "a.lock",
    "B52-reflog": "@{1}",
    "B52-at": "@",
    "B53-newline": "a\nb",
    "B53-newline-at-the-end": "a\n",
    "B53-carriage-return": "a\rb",
    "B54-percent-nul": "a%00",
    "B55-accent": "é",
    "B55-japanese": "日本",
    "B55-other-digits": "a²٣",
    "B56-300": "a" * 300,
    "B56-65": "a" * 65,
    "B58-shell": "$(id)",
    "B58-backticks": "`id`",
    "B58-pipe": "|cat",
    "B59-slash": "a/b",
    "B59-slash-at-the-end": "a/",
    **{f"B60-{char}": f"a{char}" for char in "~^:?*[\\\"'&;<>#!%="},
    "B138-zero-width": "a\u200bb",
    "B138-bidi": "a\u202eb",
    "B138-look-alike": "аbc",
    "B138-escape": "a\x1b[2J",
    "B138-padded": " a ",
}


@cases("adw_id", REFUSED)
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_an_id_that_no_path_could_have_is_refused(project: Make, adw_id: str, how: str):
    p = project(ONE)
    if how == "environment" and not adw_id:
        pytest.skip("an empty variable in the environment counts as not given")
    given = {"ADW_ID": adw_id} if how == "environment" else {}
    said = refuse(p, "sdlc", *([] if given else [f"ADW_ID={adw_id}"]), **given)
    assert said == f"ADW_ID {adw_id!r} cannot be used; {RULE}\n"


SAMPLE = ["B46-dots", "B49-option", "B53-newline", "B55-accent"]


@cases("adw_id", {name: REFUSED[name] for name in SAMPLE})
def test_whatever_is_asked_the_answer_is_the_same(project: Make, adw_id: str):
    p = project(ONE)
    said = {refuse(p, "sdlc", f"ADW_ID={adw_id}", tool="doit"), refuse(p, "list", f"ADW_ID={adw_id}")}
    assert said == {f"ADW_ID {adw_id!r} cannot be used; {RULE}\n"}


def test_b54_nul_does_not_even_get_to_a_program(project: Make):
    p = project(ONE)
    with pytest.raises(ValueError, match="embedded null byte"):
        p.adws("sdlc", "ADW_ID=a\0b")


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_b136_bytes_that_are_no_text_are_refused(project: Make, where: str):
    p = project(ONE)
    word = b"ADW_ID=a\xff"
    env = {os.fsencode(k): os.fsencode(v) for k, v in p.env.items()}
    args = [os.fsencode(BIN / "adws"), b"sdlc"]
    if where == "argument":
        args.append(word)
    else:
        env[b"ADW_ID"] = word[7:]
    before = everything(p.path.parent)
    done = subprocess.run(args, cwd=p.path, env=env, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.decode() == f"ADW_ID 'a\\udcff' cannot be used; {RULE}\n"
    assert everything(p.path.parent) == before


ACCEPTED = {
    "B56-64": "a" * 64,
    "B58-digits": "0123456789",
    "B58-dashes": "a-_-_",
    # reserved for phases, but the names of runs are a level higher; and what git or a system could take for its own
    **{
        f"B60-{name}": name
        for name in ("merge", "run", "attempt", "base", "HEAD", "CON", "nul", "main", "sdlc")
    },
}


@cases("adw_id", ACCEPTED)
def test_an_id_that_is_only_odd_names_branch_refs_and_logs(project: Make, adw_id: str):
    p = project(ONE)
    before = theirs(p)
    p.adws("sdlc", f"ADW_ID={adw_id}")
    assert p.git("show", f"refs/heads/adw/{adw_id}:a") == adw_id
    assert p.git("for-each-ref", "--format=%(refname:lstrip=3)", f"refs/adws/{adw_id}").split() == [
        "a",
        "attempt/a/1",
        "merge",
        "run",
    ]
    assert p.log(adw_id, "a") == ""
    assert theirs(p) == before


def test_b57_an_id_that_differs_in_capitals_only_is_refused(project: Make):
    p = project(ONE)
    p.adws("sdlc", "ADW_ID=ab")
    before = p.git("for-each-ref")
    said = "run ab exists; AB would be the same on a file system that ignores case\n"
    assert p.adws("sdlc", "ADW_ID=AB", status=3) == said
    assert p.git("for-each-ref") == before
    assert not (p.path / ".adws/runs/AB").exists()


def test_b61_an_unknown_run_without_an_issue_leaves_no_folder(project: Make):
    p = project(ONE)
    del p.env["ISSUE"]
    said = p.adws("sdlc", "ADW_ID=x", status=3)
    assert said == f"run x is not known in {p.path}; give it an issue: ISSUE=path.md\n"
    assert p.git("for-each-ref", "refs/adws") == ""
    assert not (p.path / ".adws").exists()


@pytest.mark.parametrize("ref", ["refs/adws/x", "refs/adws"])
def test_b59_a_ref_where_a_run_needs_a_folder_is_told(project: Make, ref: str):
    p = project(ONE)
    p.git("update-ref", ref, "HEAD")
    before = theirs(p)
    said = p.adws("sdlc", "ADW_ID=x", status=3)
    assert f"'{ref}' exists; cannot create 'refs/adws/x/run'" in said
    assert len(said.splitlines()) == 1
    assert theirs(p) == before


def test_b61_another_issue_makes_the_phases_due_and_nothing_of_the_old_one_stays(project: Make):
    p = project("phases: {a: {run: 'cp $ADW_ISSUE $(head -c 2 $ADW_ISSUE).txt'}}", issue="one")
    p.adws("sdlc", "ADW_ID=x")
    (p.path.parent / "issue.md").write_text("two")
    green(p, "sdlc")
    tree = p.tree("adw/x")
    assert tree["tw.txt"] == "two"
    assert "on.txt" not in tree


def test_b61_another_pipeline_makes_the_phases_due(project: Make):
    p = project("phases: {a: {run: echo 1 > one}}")
    p.adws("sdlc", "ADW_ID=x")
    p.write("pipeline.yaml", "version: 1\nphases: {b: {run: echo 2 > two}}\n")
    green(p, "sdlc")
    tree = p.tree("adw/x")
    assert tree["two"] == "2"
    assert "one" not in tree


def test_b62_a_finished_run_is_not_done_again(project: Make):
    p = project(ONE)
    p.adws("sdlc", "ADW_ID=x")
    before = p.git("for-each-ref", "--format=%(refname)%(objectname)", "refs/heads", "refs/adws/x/a")
    assert "branch adw/x has it all" in green(p, "sdlc")
    assert p.git("for-each-ref", "--format=%(refname)%(objectname)", "refs/heads", "refs/adws/x/a") == before


@pytest.mark.parametrize("name", ["ADW_ID", "ISSUE", "REPO", "AGENT"])
def test_b137_what_is_given_twice_is_asked_back(project: Make, name: str):
    p = project(ONE)
    said = refuse(p, "sdlc", f"{name}=a", f"{name}=b")
    assert said == f"`{name}` is given twice, as `a` and as `b`; leave one out\n"


def test_b137_a_word_that_is_no_assignment_is_a_phase_that_is_not_there(project: Make):
    p = project(ONE)
    assert refuse(p, "sdlc", "ADW_ID") == (
        "there is no workflow or phase `ADW_ID` in pipeline.yaml; adws list shows them\n"
    )
    said = "unknown variable `adw_id`; did you mean `ADW_ID`?; there are ADW_ID, ISSUE, REPO, AGENT\n"
    assert refuse(p, "sdlc", "adw_id=x") in (said, said.replace("; did you mean `ADW_ID`?", ""))
