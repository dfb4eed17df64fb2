"""review: looks through the change of the run so far, writes down what it finds, and stops at a blocker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builtin.conftest import Repo

Found = list[tuple[str, str, str]]


@pytest.fixture
def review(repo: Repo, capsys: pytest.CaptureFixture[str]) -> Callable[..., Found]:
    """`review(before, after)`: (severity, rule, path) of each finding in what happens between the two.

    A file that is None is deleted. The verdict is checked to be what the findings say, and the tree untouched.
    """

    def run(before: dict[str, str | bytes], after: dict[str, str | bytes | None]) -> Found:
        repo.commit(**before)
        for path, text in after.items():
            if text is None:
                (repo.root / path).unlink()
            else:
                repo.write(path, text)
        return verdict(repo, capsys)

    return run


def verdict(repo: Repo, capsys: pytest.CaptureFixture[str], *args: str) -> Found:
    status = repo.git("status", "--porcelain", "-uall")
    code = repo.phase("review", *args)
    assert repo.git("status", "--porcelain", "-uall") == status
    findings = result(repo)["findings"]
    assert code == any(finding["severity"] == "blocker" for finding in findings)
    said = capsys.readouterr()
    for finding in findings:
        place = f"{finding['severity']}: {finding['path']}:{finding['line']}: {finding['message']}"
        assert f"{place} ({finding['rule']})\n" in said.out
    assert ("builtin review: " in said.err) == bool(code)
    return [(finding["severity"], finding["rule"], finding["path"]) for finding in findings]


def result(repo: Repo) -> dict[str, list[dict[str, str]]]:
    out = Path(os.environ.get("ADW_OUT") or repo.root / ".adws/local/review")
    return json.loads((out / "result.json").read_bytes())


# what is reviewed


def test_by_hand_it_is_what_is_not_committed_or_else_the_last_commit(repo, capsys):
    repo.commit(**{"a.py": "breakpoint()\n"})
    assert verdict(repo, capsys) == [("blocker", "debug-leftover", "a.py")]  # the first commit of all
    repo.commit(**{"b.py": "breakpoint()\n"})
    assert verdict(repo, capsys) == [("blocker", "debug-leftover", "b.py")]
    repo.write("c.py", "breakpoint()\n")
    assert verdict(repo, capsys) == [("blocker", "debug-leftover", "c.py")]


def test_in_a_run_it_is_everything_since_the_first_phase_began(repo, capsys, monkeypatch):
    first = repo.commit(**{"a.py": "x = 1\n"})
    second = repo.commit(**{"specs/x.md": "# Spec\n"})
    repo.commit(**{"b.py": "breakpoint()\n"})
    repo.commit(**{"c.py": "y = 1\n"})
    state = {
        "build": {"base": second, "status": "passed"},
        "plan": {"base": first},
        "scout": {"summary": "s"},
    }
    (repo.root.parent / "state.json").write_text(json.dumps(state))
    monkeypatch.setenv("ADW_STATE", str(repo.root.parent / "state.json"))
    monkeypatch.setenv("ADW_OUT", str(repo.root.parent / "out"))
    monkeypatch.setenv("ADW_BASE", repo.git("rev-parse", "HEAD"))
    assert verdict(repo, capsys) == [("blocker", "debug-leftover", "b.py")]
    assert result(repo)["summary"] == "1 blocker in 3 changed files"


def test_only_what_the_change_wrote_is_its_fault(review):
    old = "import pdb\n\n\ndef f():\n    pdb.set_trace()\n    return undefined\n"
    assert review({"a.py": old}, {"a.py": old + "\n\nx = 1\n"}) == []


def test_the_verdict_is_one_line_and_the_findings_are_sorted(repo, capsys):
    repo.commit(**{"a.py": "x = 1\n"})
    repo.write("z.js", "debugger;\n")
    repo.write("a.py", "import os\nimport os\nx = y\n")
    repo.write("big", b"x" * (1 << 20) + b"x")
    assert repo.phase("review") == 1
    said = capsys.readouterr()
    assert said.err == (
        "builtin review: 3 blockers, 1 major, 1 minor in 3 changed files: "
        "a.py:2: Redefinition of unused `os` from line 1: `os` redefined here (F811); "
        "a.py:3: Undefined name `y` (F821); z.js:1: `debugger` stops every run (debug-leftover)\n"
    )
    assert [line.split(": ")[0] for line in said.out.splitlines()] == [*["blocker"] * 3, "major", "minor"]
    assert result(repo)["patches"] == []
    assert result(repo)["findings"][0] == {
        "severity": "blocker",
        "rule": "F811",
        "path": "a.py",
        "line": 2,
        "message": "Redefinition of unused `os` from line 1: `os` redefined here",
    }


def test_a_good_change_has_no_findings(repo, capsys):
    repo.commit(**{"a.py": "x = 1\n"})
    repo.write("a.py", "x = 2\n")
    assert repo.phase("review") == 0
    assert capsys.readouterr().out == "no findings in 1 changed file\n"


@pytest.mark.parametrize("name", ["-x.py", "a b.py", "é.py", "new\nline.py", 'q"uote.py', "d/[x].py"])
def test_a_strange_name_hides_nothing(repo, capsys, name):
    repo.commit(**{name: "x = 1\n", "plain": "x\n"})
    repo.write(name, "x = 1\nbreakpoint()\n")
    assert [(severity, rule) for severity, rule, _ in verdict(repo, capsys)] == [
        ("blocker", "debug-leftover")
    ]
    assert "\n" not in result(repo)["findings"][0]["path"]


def test_git_attributes_and_settings_hide_nothing(repo, capsys):
    attributes = "*.py -diff\n*.js diff=odd\n"
    repo.commit(**{".gitattributes": attributes, "a.py": "x = 1\nbreakpoint()\n", "b.js": "f();\n"})
    for key, value in (("diff.noprefix", "true"), ("color.diff", "always"), ("diff.odd.textconv", "true")):
        repo.git("config", key, value)
    repo.write("a.py", "x = 1\nbreakpoint()\nimport pdb; pdb.set_trace()\n")
    repo.write("b.js", "f();\ndebugger;\n")
    assert ("blocker", "debug-leftover", "b.js") in verdict(repo, capsys)
    breaks = [finding for finding in result(repo)["findings"] if finding["rule"] == "debug-leftover"]
    assert [(finding["path"], finding["line"]) for finding in breaks] == [("b.js", 2), ("a.py", 3)]


def test_links_binaries_submodules_and_odd_bytes_are_survived(repo, capsys):
    repo.commit(**{"a": "x\n", "b.py": "x = 1\n", "bin": b"\0\1", "big": b"x" * (1 << 20) + b"y"})
    (repo.root / "a").unlink()
    (repo.root / "a").symlink_to("b.py")
    repo.write("b.py", b"x = '\xff'\n\0")
    repo.write("bin", "text now\n")
    repo.write("big", b"\0" * (1 << 20) + b"z")
    repo.git("init", "-q", "sub")
    repo.git("-C", "sub", "commit", "-q", "--allow-empty", "-m", "x")
    repo.git("add", "sub")
    assert verdict(repo, capsys) == [("major", "large-file", "big")]


def test_review_takes_no_arguments(repo, capsys):
    repo.commit(a="x\n")
    assert repo.phase("review", "now") == 1
    assert capsys.readouterr().err == "builtin review: `now` is too much; review takes no arguments\n"


# checks that need no language

CONFLICT = "<<<<<<< HEAD\na = 1\n=======\na = 2\n>>>>>>> main\n"


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("a.c", CONFLICT, "blocker"),
        ("a.md", f"# T\n\n{CONFLICT}", "blocker"),
        ("a.c", ">>>>>>> main\n", "major"),
        ("a.py", f'TEXT = """\n{CONFLICT}"""\n', "major"),
        ("a.md", "Title\n=======\n\nText\n", ""),
        ("a.rst", "=======\nTitle\n=======\n", ""),
        ("a.md", f"```\n{CONFLICT}```\n", ""),
        ("a.md", "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n", ""),
        ("a.py", "x = 1 << 7\n# <<<<<<<<<<\n", ""),
        ("a.sh", "cat <<<<<<<\n", ""),
    ],
)
def test_markers_of_an_unfinished_merge(review, path, text, found):
    assert review({"x": "x\n"}, {path: text}) == ([(found, "conflict-marker", path)] if found else [])


KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAx8q3vVq0n5Yk7m1b2c3d4e5f6g7h8i9j0kLMNOPQRSTUVWXY\n"


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("a.py", 'K = "AKIA' + 'Q7ZP3MXW5RTB2NVC"\n', "blocker"),
        ("a.env", "T=ghp_" + "a8Kd03mZpQ7rVx1LsW9cTb4Yh6NfJ2uEgG5o\n", "blocker"),
        ("tests/test_a.py", 'T = "ghp_' + 'a8Kd03mZpQ7rVx1LsW9cTb4Yh6NfJ2uEgG5o"\n', "blocker"),
        ("a.js", 'const t = "xoxb-' + '8274650193-5718293046-Zk3Vq9Xw2Lm7"\n', "blocker"),
        ("a.go", 'k := "AIza' + 'SyD8f2Kq9Wm3Zx7Rb1Tn5Vc6Yh0Jl4Pg8Qs"\n', "blocker"),
        ("a.py", 'k = "sk-ant-' + 'api03-Zk3Vq9Xw2Lm7Tb4Yh6NfJ2uEgG5oD8f2Kq9Wm"\n', "blocker"),
        ("a.py", 'k = "sk-' + 'proj-Zk3Vq9Xw2Lm7Tb4Yh6NfJ2uEgG5oD8f2Kq9Wm"\n', "blocker"),
        ("id_rsa", KEY, "blocker"),
        ("a.py", f'KEY = """{KEY}"""\n', "blocker"),
        ("tests/certs/server.key", KEY, "major"),
        ("a.py", 'password = "k7Wq93vZpL2x"\n', "blocker"),
        ("a.yml", "db_password: k7Wq93vZpL2x\n", "blocker"),
        ("a.json", '{"client_secret": "k7Wq93vZpL2x8RtY"}\n', "blocker"),
        ("tests/test_a.py", 'password = "k7Wq93vZpL2x"\n', "minor"),
        ("a.py", 'K = "AKIA' + 'IOSFODNN7EXAMPLE"\n', ""),
        ("a.py", 'T = "ghp_' + "x" * 36 + '"\n', ""),
        ("a.py", 'if line.startswith("-----BEGIN RSA PRIVATE KEY-----"):\n    pass\nline = 1\n', ""),
        ("a.py", 'password = "changeme"\nsecret = "your-secret-here"\napi_key = "<API_KEY_1>"\n', ""),
        ("a.py", 'password = os.environ["DB_PASSWORD_1"]\nimport os\n', ""),
        ("a.py", 'secret_name = "db-creds-v2-prod1"\npassword_field = "input#pw-2a9"\n', ""),
        ("a.yml", "password: ${{ secrets.PYPI_2 }}\ntoken_url: https://x.org/t0ken\n", ""),
        ("a.css", ".sk-estimator-doc-link-wrapper-element-for-all { color: red }\n", ""),
        ("a.lock", '"integrity": "sha512-Zk3Vq9Xw2Lm7Tb4Yh6NfJ2uEgG5oD8f2Kq9Wm=="\n', ""),
        ("a.py", 'def reset(password: str = "", token="bearer"):\n    return password, token\n', ""),
    ],
)
def test_secrets_are_found_and_not_repeated(repo, review, path, text, found):
    known = [entry for entry in review({"x": "x\n"}, {path: text}) if entry[1] == "secret"]
    assert known == ([(found, "secret", path)] if found else [])
    values = [word for word in re.findall(r"[\w-]{12,}", text) if re.search(r"\d", word)]
    assert not any(value in json.dumps(result(repo)) for value in values)


@pytest.mark.parametrize(
    ("path", "data", "found"),
    [
        ("a.bin", b"\0" * (1 << 20) + b"\0", ("major", "large-file")),
        ("a.png", b"\x89PNG\0", ("minor", "binary-file")),
        ("a.txt", b"x\n" * 1000, None),
    ],
)
def test_what_makes_the_history_large(review, path, data, found):
    assert review({"x": "x\n"}, {path: data}) == ([(*found, path)] if found else [])


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("a.py", "def f():\n    breakpoint()\n", "blocker"),
        ("tests/test_a.py", "def test_a():\n    import pdb; pdb.set_trace()\n    assert f\n", "blocker"),
        ("a.py", "import ipdb\n\nipdb.set_trace()\n", "blocker"),
        ("a.ts", "  debugger;\n", "blocker"),
        ("a.rb", "  binding.pry\n", "blocker"),
        ("a.rs", "let x = dbg!(y);\n", "major"),
        ("a.js", "  console.log(x);\n", "minor"),
        ("a.py", '"""Never leave a breakpoint() in."""\n# pdb.set_trace()\nx = "breakpoint()"\n', ""),
        ("a.py", "print('all is well')\n", ""),
        ("a.js", "// debugger;\nlogger.console.log(x);\n", ""),
        ("a.test.js", "console.log(1);\n", ""),
    ],
)
def test_what_debugging_left_behind(review, path, text, found):
    known = [entry for entry in review({"x": "x\n"}, {path: text}) if entry[1] == "debug-leftover"]
    assert known == ([(found, "debug-leftover", path)] if found else [])


def test_a_debugger_may_break(review):
    old = "import pdb\n\n\ndef stop():\n    pdb.set_trace()\n"
    new = old + "\n\ndef again():\n    pdb.set_trace()\n"
    assert review({"a.py": old}, {"a.py": new}) == [("major", "debug-leftover", "a.py")]


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("pytest.ini", "[pytest]\naddopts = --deselect tests/test_a.py::test_b\n", "blocker"),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["--ignore=tests/slow"]\n', "blocker"),
        ("conftest.py", 'collect_ignore = ["test_a.py"]\n', "blocker"),
        ("conftest.py", "def pytest_collection_modifyitems(items):\n    del items[1:]\n", "major"),
        ("setup.cfg", "[tool:pytest]\naddopts = -k 'not slow'\n", "major"),
        ("tox.ini", "[testenv]\ncommands = flake8 --ignore=E501 src\n", ""),
        ("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n', ""),
    ],
)
def test_settings_that_take_tests_out_of_the_run(review, path, text, found):
    assert review({"x": "x\n"}, {path: text}) == ([(found, "test-deselected", path)] if found else [])


# Python by ruff


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", "def f(:\n", [("blocker", "syntax-error")]),
        ("x = (1)\ny = 2\n", "x = (1\ny = 2\n", [("blocker", "syntax-error")]),
        ("", "print(nothing)\n", [("blocker", "F821")]),
        ("import os\nprint(os.name)\n", "print(os.name)\n", [("blocker", "F821")]),
        ("", "def f():\n    pass\n\n\ndef f():\n    pass\n", [("blocker", "F811")]),
        ("", "import os\n", [("minor", "F401")]),
        ("import os\n", "import os\n\nx = 1\n", []),
        ("print(raw_input)\n", "print( raw_input )\n", [("minor", "F821")]),
        ("def f(:\n", "def f(:\n\n\nx = 1\n", []),
    ],
)
def test_ruff_speaks_of_what_the_change_brought(review, old, new, found):
    before: dict[str, str | bytes] = {"a.py": old} if old else {"x": "x\n"}
    assert sorted(set(review(before, {"a.py": new}))) == [(*entry, "a.py") for entry in found]


def test_the_projects_own_rules_are_taken(repo, review):
    rules = '[tool.ruff]\nextend-exclude = ["gen"]\n[tool.ruff.lint]\nselect = ["N802"]\nignore = ["F401"]\n'
    files = {"a.py": "import os\n\n\ndef Loud():\n    pass\n", "gen/b.py": "print(nothing)\n"}
    assert review({"pyproject.toml": rules}, files) == [("minor", "N802", "a.py")]
    assert not (repo.root / ".ruff_cache").exists()


def test_the_projects_own_modules_are_not_run(repo, review):
    own = dict.fromkeys(("ruff.py", "bandit.py"), "raise SystemExit(7)\n")
    assert review(own, {"a.py": "import os\n"}) == [("minor", "F401", "a.py")]


def test_rules_that_cannot_be_used_are_replaced_and_that_is_said(repo, review):
    files = {"a.py": "import os\n"}
    found = review({"ruff.toml": 'select = ["NO999"]\n'}, files)
    assert found == [("minor", "F401", "a.py"), ("minor", "ruff", "a.py")]
    assert "E4,E7,E9,F were looked at" in result(repo)["findings"][1]["message"]


# Python by bandit

SHELL = "import subprocess\n\n\ndef run(words):\n    subprocess.run(\n        words,\n        {}\n    )\n"


@pytest.mark.parametrize(
    ("path", "old", "new", "found"),
    [
        ("a.py", "", SHELL.format("shell=True,"), "B602"),
        ("a.py", SHELL.format("check=True,"), SHELL.format("shell=True,"), "B602"),
        (
            "a.py",
            SHELL.format("shell=True,"),
            SHELL.format("shell=True,").replace("words,", "words[0],"),
            "B602",
        ),
        ("a.py", SHELL.format("shell=True,"), SHELL.format("shell=True,") + "\n\nx = 1\n", ""),
        ("a.py", "", SHELL.format("shell=True,  # nosec"), ""),
        ("a.py", "", "import requests\n\nrequests.get('https://a.org', verify=False, timeout=9)\n", "B501"),
        ("a.py", "", "import hashlib\n\nhashlib.md5(b'', usedforsecurity=False)\nassert True\n", ""),
        ("a.py", "", "import pickle\n\nx = pickle.loads(b'')\n", ""),
        ("tests/test_a.py", "", SHELL.format("shell=True,"), ""),
        ("-x\n.py", "", SHELL.format("shell=True,"), "B602"),
    ],
)
def test_bandit_speaks_of_what_is_grave_in_the_lines_of_the_change(review, path, old, new, found):
    known = [entry[:2] for entry in review({path: old} if old else {"x": "x\n"}, {path: new})]
    assert known == ([("major", found)] if found else [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.bandit]\nskips = ["B602"]\n'),
        ("pyproject.toml", '[tool.bandit]\nexclude_dirs = ["gen"]\n'),
        (".bandit", "[bandit]\nskips = B602\noutput = report.json\nformat = html\n"),
        (".bandit", "[bandit]\nexclude = ./gen\n"),
    ],
)
def test_the_projects_own_settings_of_bandit_are_taken(review, name, text):
    assert review({name: text}, {"gen/a.py": SHELL.format("shell=True,")}) == []


def test_settings_that_bandit_cannot_use_are_left_out_and_that_is_said(repo, review):
    found = review(
        {".bandit": "[bandit]\ntests = B602\nskips = B602\n"}, {"a.py": SHELL.format("shell=True,")}
    )
    assert found == [("major", "B602", "a.py"), ("minor", "bandit", "a.py")]
    assert result(repo)["findings"][1]["message"] == (
        "bandit cannot use the project's settings (Non-exclusive include/exclude test sets: {'B602'}); "
        "its own were used"
    )


def test_without_bandit_that_is_said(repo, review, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$3" = bandit ] && set -- -m not_installed\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert review({"x": "x\n"}, {"a.py": SHELL.format("shell=True,")}) == [("minor", "bandit", "a.py")]
    message = result(repo)["findings"][0]["message"]
    assert re.fullmatch(
        r"bandit exited 1, so nothing was looked at: .*: No module named not_installed", message
    )


# coverage

CART = "def one():\n    return 1\n"
FULLER = CART + "\n\ndef two(a):\n    if a:\n        return 2\n\n    return 3\n\n\nX = (\n    one()\n)\n"
SHOP = "from shop import cart\n\n\ndef test_two():\n    assert cart.two(1) == 2\n"
LCOV = "SF:{}\nDA:1,1\nDA:6,1\nDA:7,0,checksum\nDA:9,0\nend_of_record\n"


@pytest.fixture
def covered(repo, capsys, monkeypatch):
    """`covered(name=report)`: the messages about what the tests did not run, in a review that needs `test`."""
    out = repo.root.parent / "needs/test"
    out.mkdir(parents=True)
    base = repo.commit(**{"src/shop/cart.py": CART, "src/shop/__init__.py": "", "cart.py": "x = 1\n"})
    repo.commit(**{"src/shop/cart.py": FULLER, "src/shop/test_cart.py": SHOP, "README": "\n" * 9})
    state = {"build": {"base": base}, "test": {"base": base, "out": str(out)}}
    (repo.root.parent / "state.json").write_text(json.dumps(state))
    monkeypatch.setenv("ADW_STATE", str(repo.root.parent / "state.json"))
    monkeypatch.setenv("ADW_OUT", str(repo.root.parent / "out"))
    monkeypatch.setenv("ADW_BASE", repo.git("rev-parse", "HEAD"))

    def run(**reports: str) -> list[str]:
        for name, text in reports.items():
            (out / name).write_text(text)
        assert {entry[:2] for entry in verdict(repo, capsys)} <= {("minor", "not-covered")}
        return [f"{found['path']}:{found['line']}: {found['message']}" for found in result(repo)["findings"]]

    return run


MISSED = "src/shop/cart.py:9: 1 of 5 changed lines are run by no test: 9"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ("source = src", "xml"),
        ("source = src/shop", "lcov"),
        pytest.param("", "xml", marks=pytest.mark.slow),
        pytest.param("relative_files = true\nsource = src", "xml", marks=pytest.mark.slow),
        pytest.param("relative_files = true\nsource = src", "lcov", marks=pytest.mark.slow),
    ],
)
def test_a_report_that_the_tests_made_in_another_workspace_tells_what_they_did_not_run(
    repo, covered, own_coverage, tmp_path, kind, settings
):
    there = tmp_path / "elsewhere" / "workspace"
    shutil.copytree(repo.root, there)
    (there / ".coveragerc").write_text(f"[run]\n{settings}\n")
    name = {"xml": "coverage.xml", "lcov": "lcov.info"}[kind]
    env = {**os.environ, "PYTHONPATH": "src", "COVERAGE_FILE": str(tmp_path / "data")}
    calls = (["run", "-m", "pytest", "-q"], [kind, "-o", str(tmp_path / "needs/test" / name)])
    for call in calls:
        subprocess.run(
            [sys.executable, "-m", "coverage", *call], cwd=there, env=env, check=True, capture_output=True
        )
    shutil.rmtree(there)
    assert covered() == [MISSED]


def test_what_one_report_misses_another_may_have(covered):
    both = "SF:../repo/src/shop/cart.py\nDA:7,4\nend_of_record\nSF:src/shop/test_cart.py\nDA:5,0\nend_of_record\n"
    assert covered(**{"lcov.info": LCOV.format("/w/1/src/shop/cart.py")}) == [
        "src/shop/cart.py:7: 2 of 3 changed lines are run by no test: 7-9"
    ]
    assert covered(**{"lcov.info": LCOV.format("/w/1/src/shop/cart.py") + both}) == [
        "src/shop/cart.py:9: 1 of 3 changed lines are run by no test: 9"
    ]


def test_many_gaps_are_not_all_named(covered):
    lines = "".join(f"DA:{n},{n % 2}\n" for n in range(1, 50))
    report = f"SF:README\n{lines}end_of_record\n"
    assert covered(**{"lcov.info": report}) == [
        "README:2: 4 of 9 changed lines are run by no test: 2, 4, 6, 8"
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("coverage.xml", "<coverage", "cannot be read: unclosed token: line 1, column 0"),
        (
            "coverage.xml",
            "<coverage><class filename='cart.py'><lines><line number='x'/></lines></class></coverage>",
            "cannot be read: invalid literal for int() with base 10: 'x'",
        ),
        (
            "lcov.info",
            "SF:cart.py\nDA:1\n",
            "cannot be read: not enough values to unpack (expected at least 2, got 1)",
        ),
        ("coverage.xml", "<coverage/>", "tells of no file here; is it Cobertura's or lcov's?"),
        ("lcov.info", LCOV.format("../cart.py/x"), "tells of no file here; is it Cobertura's or lcov's?"),
    ],
)
def test_a_report_that_tells_nothing_is_told(covered, name, text, said):
    assert covered(**{name: text}) == [f"test/{name}:1: the coverage report {said}"]


def test_by_hand_the_report_in_the_checkout_is_taken_unless_it_is_older_than_the_change(repo, capsys):
    repo.commit(**{"a.py": CART, ".gitignore": "lcov.info\n"})
    repo.write("a.py", FULLER)
    report = repo.write("lcov.info", LCOV.format("a.py"))
    assert verdict(repo, capsys) == [("minor", "not-covered", "a.py")]
    os.utime(report, (1, 1))
    assert verdict(repo, capsys) == []


def test_in_a_run_a_report_in_the_checkout_is_not_taken(repo, covered):
    repo.write("lcov.info", LCOV.format("src/shop/cart.py"))
    assert covered() == []
