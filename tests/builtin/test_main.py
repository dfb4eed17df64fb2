"""The dispatcher and what a phase is told."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from adws.builtin import context
from adws.errors import UserError

PHASES = "(phases: scout, plan, build, test, review, document)"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], f"builtin: which phase? {PHASES}"),
        (["biuld"], f"builtin: unknown phase `biuld`; did you mean `build`? {PHASES}"),
        (["merge-it-all"], f"builtin: unknown phase `merge-it-all` {PHASES}"),
        (
            ["plan", "a.md", "b.md"],
            "builtin plan: unrecognized arguments: b.md; see `python -m adws.builtin plan --help`",
        ),
        (
            ["plan", "absent.md"],
            "builtin plan: the issue absent.md cannot be read: No such file or directory",
        ),
        (
            ["plan"],
            "builtin plan: there is no issue to work on; name a file, as in "
            "`python -m adws.builtin plan issue.md`, or set ADW_ISSUE",
        ),
    ],
)
def test_a_wrong_call_says_what_is_right_and_exits_3(repo, capsys, args, said):
    assert repo.phase(*args) == 3
    assert capsys.readouterr() == ("", f"{said}\n")


def test_help_lists_the_phases(repo, capsys):
    with pytest.raises(SystemExit) as stop:
        repo.phase("--help")
    assert stop.value.code == 0
    assert "scout     rank the files that matter to the issue" in capsys.readouterr().out


def test_outside_a_checkout_git_says_so(repo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert repo.phase("scout", issue="# x") == 3
    assert "builtin scout: git rev-parse: fatal: not a git repository" in capsys.readouterr().err


def test_a_user_error_of_the_phase_is_one_line_and_exit_1(repo, monkeypatch, capsys):
    def fail(ctx, args):
        raise UserError(f"nothing works with {args}")

    monkeypatch.setitem(sys.modules, "adws.builtin.test", SimpleNamespace(run=fail))
    assert repo.phase("test", "-k", "x") == 1
    assert capsys.readouterr().err == "builtin test: nothing works with ['-k', 'x']\n"


def test_the_command_runs_by_hand_from_any_folder_and_hides_what_it_leaves(repo):
    repo.commit(**{"src/dates.py": "def parse_date(text): ...\n"})
    issue = repo.root.parent / "issue.md"
    issue.write_text("# Wrong `parse_date`\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "adws.builtin", "scout", str(issue)],
        cwd=repo.root / "src",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ranked 1 of 1 files; first: src/dates.py (defines `parse_date`)\n"
    assert json.loads(repo.read(".adws/local/scout/result.json"))["files"] == ["src/dates.py"]
    assert repo.git("status", "--porcelain") == ""


def test_the_issue_may_come_by_stdin(repo, monkeypatch, capsys):
    repo.commit(**{"dates.py": "def parse_date(text): ...\n"})
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\xef\xbb\xbf# Wrong parse_date\r\n"))
    )
    assert repo.phase("scout", "-") == 0
    assert "first: dates.py" in capsys.readouterr().out


def test_everything_is_read_from_the_environment(repo, tmp_path, monkeypatch):
    (tmp_path / "state.json").write_text('{"plan": {"status": "passed", "path": "specs/x.md"}}')
    (tmp_path / "issue").write_bytes(b"# caf\xe9\r\nx\rend")
    values = {"ID": "x", "PHASE": "unit", "BASE": "abc", "OUT": "../out/a", "ISSUE": str(tmp_path / "issue")}
    for name, value in {**values, "STATE": str(tmp_path / "state.json")}.items():
        monkeypatch.setenv(f"ADW_{name}", value)
    ctx = context.load("test")
    assert (ctx.adw_id, ctx.phase, ctx.base, ctx.root) == ("x", "unit", "abc", repo.root)
    assert ctx.issue == "# caf\ufffd\nx\nend"
    assert ctx.state == {"plan": {"status": "passed", "path": "specs/x.md"}}
    assert ctx.out.samefile(tmp_path / "out/a")
    assert not (repo.root / ".adws").exists()


def test_by_hand_the_state_is_what_the_other_phases_left(repo):
    left = repo.write(".adws/local/plan/result.json", '{"path": "specs/local.md"}')
    stale = repo.write(".adws/local/test/result.json", '{"summary": "of an earlier run"}')
    ctx = context.load("test")
    assert ctx.state == {"plan": {"path": "specs/local.md", "out": str(left.parent)}}
    assert (ctx.adw_id, ctx.base, ctx.out) == ("local", "HEAD", stale.parent)
    assert not stale.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ADW_ID", "../x", "ADW_ID '../x' is not a name: letters, digits, `-` and `_`, at most 64"),
        ("ADW_STATE", "no.json", "no.json cannot be read: [Errno 2] No such file or directory: 'no.json'"),
        ("ADW_STATE", "bad.json", "bad.json cannot be read: Expecting value: line 1 column 1 (char 0)"),
        ("ADW_STATE", "list.json", "list.json does not hold a JSON object"),
        ("ADW_STATE", "flat.json", "flat.json does not hold one JSON object per phase"),
        ("ADW_OUT", "bad.json/x", "{root}/bad.json/x cannot be made: Not a directory"),
    ],
)
def test_a_broken_environment_is_named(repo, monkeypatch, name, value, said):
    for file, text in {"bad.json": "x", "list.json": "[]", "flat.json": '{"plan": 1}'}.items():
        repo.write(file, text)
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as error:
        context.load("test")
    assert str(error.value) == said.format(root=repo.root)


def test_a_result_is_sorted_and_valid_utf_8_whatever_is_in_it(repo):
    ctx = context.load("test")
    context.write_result(ctx, summary="half \ud800, whole é", count=1)
    assert (ctx.out / "result.json").read_bytes() == (
        '{\n  "count": 1,\n  "summary": "half ?, whole é"\n}\n'.encode()
    )
    assert [file.name for file in ctx.out.iterdir()] == ["result.json"]
