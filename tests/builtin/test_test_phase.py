"""test: runs the project's own tests and reads the report that they leave."""

from __future__ import annotations

import json
import shutil
import site
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from adws.builtin import suite
from tests.builtin.conftest import Repo

GREEN = "def test_one():\n    assert True\n\n\ndef test_two():\n    assert True\n"
RED = "def test_bad():\n    assert 1 == 2\n"
PACKAGES = site.getsitepackages()[0]
JUNIT = '<testsuite><testcase name="a"/>{}</testsuite>'


@pytest.fixture
def tested(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """`tested(*args)`: the last thing the phase said; it has left nothing in the tree."""
    monkeypatch.setenv("ADW_OUT", str(repo.root.parent / "out"))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)

    def run(*args: str, status: int = 0) -> str:
        before = repo.git("status", "--porcelain", "-uall", "--ignored")
        code = repo.phase("test", *args)
        said = capfd.readouterr()
        assert code == status, said
        assert repo.git("status", "--porcelain", "-uall", "--ignored") == before
        return (said.err or said.out).strip().splitlines()[-1].removeprefix("builtin test: ")

    return run


def result(repo: Repo) -> dict[str, object]:
    return json.loads((repo.root.parent / "out/result.json").read_bytes())


def test_the_tests_are_run_and_counted(repo, tested):
    skipped = "import pytest\n@pytest.mark.skip\ndef test_s():\n    pass\n"
    repo.commit(**{"tests/test_a.py": GREEN, "tests/test_b.py": skipped})
    assert tested() == "2 tests passed, 1 skipped, in pytest"
    assert result(repo) == {
        "summary": "2 tests passed, 1 skipped, in pytest",
        "results": {"tests": 3, "failures": 0, "errors": 0, "skipped": 1},
    }
    assert (repo.root.parent / "out/junit.xml").is_file()


def test_a_failing_test_is_the_exit_code_and_is_named(repo, tested):
    repo.commit(**{"test_a.py": GREEN + RED, "test_b.py": "import nothing_like_this\n"})
    assert tested(status=2) == "1 of 1 test failed in pytest: test_b"  # what cannot be imported stops pytest
    repo.commit(**{"test_b.py": ""})
    tested(status=1)
    assert result(repo)["summary"] == "1 of 3 tests failed in pytest: test_bad"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pyproject.toml": ""}, "pytest found no tests"),
        ({"tests/helper.py": "x = 1\n"}, "pytest found no tests"),
        (
            {"test_a.py": "import pytest\npytestmark = pytest.mark.skip\n" + GREEN},
            "pytest ran no test: all 2 are skipped",
        ),
        (
            {"test_a.py": GREEN, "pytest.ini": "[pytest]\naddopts = --no-such-option\n"},
            "pytest exited 4 and left no junit.xml in ADW_OUT",
        ),
        (
            {"go.mod": "module x\n", "x_test.go": "package x\n"},
            "no tests were recognised: looked for pytest (pyproject.toml, test_*.py, tests/) and for "
            "`node --test` in package.json; say in pipeline.yaml how they run: "
            "`run: [...]` with `evidence: junit.xml`",
        ),
        (
            {
                "conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 7\n",
                "test_a.py": GREEN,
            },
            "2 tests passed in pytest, and yet it exited 7",
        ),
    ],
)
def test_what_shows_nothing_is_no_pass(repo, tested, files, said):
    repo.commit(**files)
    assert tested(status=1) == said


def test_a_src_layout_and_a_flat_one_need_no_installation(repo, tested):
    use = "import subprocess, sys\nimport {0}\n\n\ndef test_use(tmp_path):\n    assert {0}.x == 1\n"
    use += "    code = 'import {0}; assert {0}.x == 1'\n"
    use += "    assert subprocess.run([sys.executable, '-c', code], cwd=tmp_path).returncode == 0\n"
    repo.commit(**{"src/inner/__init__.py": "x = 1\n", "flat.py": "x = 1\n"})
    repo.commit(**{"tests/test_a.py": use.format("inner"), "tests/test_b.py": use.format("flat")})
    assert tested() == "2 tests passed in pytest"


def test_src_that_is_a_package_itself_hides_nothing(repo, tested):
    repo.commit(**{"src/__init__.py": "", "src/types.py": "x = 1\n"})
    repo.commit(**{"test_a.py": "from src import types\n\n\ndef test_a():\n    assert types.x == 1\n"})
    assert tested() == "1 test passed in pytest"


def environment(path: Path, *places: Path | str) -> Path:
    """A virtual environment in which the packages at these places are installed."""
    venv.create(path)
    target = next(path.glob("lib/python*/site-packages"))
    (target / "places.pth").write_text("".join(f"{place}\n" for place in places))
    return path


@pytest.mark.parametrize("layout", ["", "src/"])
def test_the_checkout_goes_before_an_installed_copy(repo, tested, monkeypatch, tmp_path, layout):
    elsewhere = tmp_path / "main" / layout
    (elsewhere / "mine").mkdir(parents=True)
    (elsewhere / "mine/__init__.py").write_text("who = 'the installed one'\n")
    monkeypatch.setenv("VIRTUAL_ENV", str(environment(tmp_path / "env", PACKAGES, elsewhere)))
    code = "import sys\nimport mine\n\n\ndef test_who():\n    assert mine.who == 'the checkout'\n"
    code += f"    assert sys.prefix == {str(tmp_path / 'env')!r}\n"
    repo.commit(**{f"{layout}mine/__init__.py": "who = 'the checkout'\n", "tests/test_who.py": code})
    assert tested() == "1 test passed in pytest"


def test_an_environment_without_pytest_is_passed_over(repo, tested, monkeypatch, tmp_path):
    monkeypatch.setenv("VIRTUAL_ENV", str(environment(tmp_path / "bare")))
    where = f"import sys\n\n\ndef test_where():\n    assert sys.prefix == {str(repo.root / '.venv')!r}\n"
    repo.commit(**{".gitignore": ".venv/\n", "test_a.py": where})
    environment(repo.root / ".venv", PACKAGES)
    assert tested() == "1 test passed in pytest"


def test_where_no_environment_has_pytest_the_tools_own_does(repo, tested, monkeypatch):
    git = shutil.which("git")
    monkeypatch.delenv("VIRTUAL_ENV")
    monkeypatch.setenv("PATH", str(Path(git).parent) if git else "")
    monkeypatch.setattr(suite, "_has_pytest", lambda python: False)
    where = f"import sys\n\n\ndef test_where():\n    assert sys.prefix == {sys.prefix!r}\n"
    repo.commit(**{"test_a.py": where})
    assert tested() == "1 test passed in pytest"


def test_the_projects_own_options_are_kept(repo, tested):
    ini = "[pytest]\naddopts = --ff -q --junitxml=mine.xml\ncache_dir = .cache\n"
    repo.commit(**{"pytest.ini": ini, "test_a.py": GREEN})
    assert tested() == "2 tests passed in pytest"


def test_a_given_command_is_run_as_it_is_and_has_nothing_to_read(repo, tested):
    repo.write("t", f"#!/bin/sh\nread x && exit 9\necho '{JUNIT.format('')}' > $ADW_OUT/$1\n").chmod(0o755)
    repo.commit()
    assert tested("--", "./t", "junit.xml") == "1 test passed in `./t junit.xml`"


COVERED = """#!/bin/sh
python=$1
PYTHONDONTWRITEBYTECODE=1 COVERAGE_FILE=$ADW_OUT/../data $python -m coverage run -m pytest -p no:cacheprovider \\
    --junitxml=$ADW_OUT/junit.xml && COVERAGE_FILE=$ADW_OUT/../data $python -m coverage xml
"""


def test_a_coverage_report_goes_to_the_phases_behind(repo, tested, own_coverage):
    repo.write("t", COVERED).chmod(0o755)
    repo.commit(**{"test_a.py": GREEN})
    tested("--", "./t", sys.executable)
    assert 'filename="test_a.py"' in (repo.root.parent / "out/coverage.xml").read_text()


def test_an_old_coverage_report_stays_where_it_is(repo, tested):
    repo.commit(**{"test_a.py": GREEN, "coverage.xml": "old", "lcov.info": "old"})
    repo.write(
        "t", f"#!/bin/sh\necho new > lcov.info; echo '{JUNIT.format('')}' > $ADW_OUT/junit.xml\n"
    ).chmod(0o755)
    repo.commit()
    (repo.root.parent / "out").mkdir()
    (repo.root.parent / "out/coverage.xml").write_text("of an earlier attempt")
    assert repo.phase("test", "--", "./t") == 0
    assert sorted(file.name for file in (repo.root.parent / "out").iterdir()) == [
        "junit.xml",
        "lcov.info",
        "result.json",
    ]
    assert repo.git("status", "--porcelain") == "M lcov.info"


FAILED = JUNIT.format('<testcase name="b"><failure/></testcase><testcase name="c"><error/></testcase>')


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "`./t` exited 0 and left no junit.xml in ADW_OUT"),
        ("exit 3", "`./t` exited 3 and left no junit.xml in ADW_OUT"),
        ("kill -TERM $$", "`./t` exited 143 and left no junit.xml in ADW_OUT"),
        (
            "echo '<x' > $ADW_OUT/junit.xml",
            "the test report cannot be read: unclosed token: line 1, column 0",
        ),
        ("echo '<testsuite/>' > $ADW_OUT/junit.xml", "`./t` found no tests"),
        (f"echo '{FAILED}' > $ADW_OUT/junit.xml", "2 of 3 tests failed in `./t`: b, c, and yet it exited 0"),
    ],
)
def test_a_command_that_shows_nothing_green_is_no_pass(repo, tested, script, said):
    repo.write("t", f"#!/bin/sh\n{script}\n").chmod(0o755)
    repo.commit()
    (repo.root.parent / "out").mkdir()
    (repo.root.parent / "out/junit.xml").write_text(JUNIT.format(""))  # from an earlier attempt
    assert tested("--", "./t", status=1) == said


def test_a_command_that_is_none_is_told(repo, tested):
    repo.commit(f="x\n")
    assert (
        tested("no-such-program", status=1)
        == "`no-such-program` could not be started: No such file or directory"
    )
    assert tested("-x", status=1) == "`-x` is no command; the tests' own goes behind `--`: test -- CMD ARG..."


needs_node = pytest.mark.skipif(not shutil.which("node"), reason="no node here")
NODE = "const test = require('node:test'); const assert = require('node:assert');\n"


@needs_node
def test_nodes_own_runner_gives_a_report(repo, tested):
    repo.commit(**{"package.json": json.dumps({"scripts": {"test": "node --test test/*.js"}})})
    repo.commit(**{"test/a.js": NODE + "test('adds', () => assert.equal(1 + 1, 2));\n"})
    tested()
    assert result(repo)["summary"] == "1 test passed in node --test"
    repo.commit(**{"test/b.js": NODE + "test('breaks', () => assert.equal(1, 2));\n"})
    tested(status=1)
    assert result(repo)["summary"] == "1 of 2 tests failed in node --test: breaks"
    repo.commit(**{"test/b.js": "throw new Error('no')\n"})
    tested(status=1)
    assert str(result(repo)["summary"]).startswith("1 of 2 tests failed in node --test: ")


@pytest.mark.parametrize("script", ["jest", "node --test && true", "node run.js", "'", 3])
def test_another_runner_is_not_guessed_at(repo, tested, script):
    repo.commit(**{"package.json": json.dumps({"scripts": {"test": script}})})
    assert tested(status=1).startswith("no tests were recognised")
