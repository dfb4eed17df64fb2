"""What git does not have: files copied in, directories kept, setup; ports and names that do not clash."""

from __future__ import annotations

import json
import shutil

import pytest

KEEP = """
phases:
  test:
    keep: {deps: deps.lock, cache: deps.lock}
    setup: "echo set up >> $HOME/setups; mkdir -p deps cache; cp deps.lock deps/made-from"
    run: "cat deps/made-from >> cache/seen; cat cache/seen; {more}"
    writes: []
"""


def setups(p):
    path = p.path.parent / "home/setups"
    return len(path.read_text().splitlines()) if path.exists() else 0


def keeping(project, more="true", **files):
    return project(KEEP.replace("{more}", more), **({"deps.lock": "one\n"} | files))


def test_setup_runs_once_and_what_it_made_is_kept_for_the_next_run(project):
    p = keeping(project)
    p.doit("sdlc", "ADW_ID=x")
    p.doit("sdlc", "ADW_ID=y")
    assert setups(p) == 1
    assert p.log("y", "test") == "one\none\n"
    assert p.git("branch", "--list", "adw/*") == ""  # nothing of it was captured


def test_other_lock_files_are_another_setup(project):
    p = keeping(project)
    p.doit("sdlc", "ADW_ID=x")
    p.write("deps.lock", "two\n")
    p.commit()
    p.doit("sdlc", "ADW_ID=y")
    assert setups(p) == 2
    assert p.log("y", "test") == "two\n"


def test_another_phase_does_not_find_what_one_kept(project):
    p = project(
        KEEP.replace("{more}", "true") + "  other: {needs: test, run: test ! -e deps}\n", **{"deps.lock": ""}
    )
    p.doit("-n", "1", "sdlc", "ADW_ID=x")


def test_a_failed_test_keeps_them_and_a_failed_setup_does_not(project):
    p = keeping(project, more="test -e $HOME/ok")
    p.doit("sdlc", "ADW_ID=x", status=1)
    (p.path.parent / "home/ok").touch()
    p.doit("sdlc", "ADW_ID=x")
    assert setups(p) == 1
    p.write("deps.lock", "two\n")
    p.write(
        "pipeline.yaml",
        (p.path / "pipeline.yaml").read_text().replace('made-from"', 'made-from; test -e $HOME/up"'),
    )
    p.commit()
    said = p.doit("sdlc", "ADW_ID=y", status=1)
    assert "FAILED test: `setup` did not pass: exit 1" in said
    assert "log.setup" in said
    (p.path.parent / "home/up").touch()
    p.doit("sdlc", "ADW_ID=y")
    assert setups(p) == 3


def test_a_phase_that_leaves_other_lock_files_keeps_nothing(project):
    p = project(
        KEEP.replace("{more}", "echo new > deps.lock").replace("writes: []", "writes: deps.lock"),
        **{"deps.lock": "one\n"},
    )
    p.doit("sdlc", "ADW_ID=x")
    p.doit("sdlc", "ADW_ID=y")
    assert setups(p) == 2


def test_setup_without_keep_runs_every_time(project):
    p = project("phases: {a: {setup: echo >> $HOME/setups, run: 'true'}}")
    p.doit("sdlc", "ADW_ID=x")
    p.doit("sdlc", "ADW_ID=y")
    assert setups(p) == 2


def test_setup_may_not_change_what_git_has(project):
    p = keeping(project)
    p.write(
        "pipeline.yaml",
        (p.path / "pipeline.yaml").read_text().replace("mkdir -p", "echo 2 >> deps.lock; mkdir -p"),
    )
    p.commit()
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "FAILED test: `setup` changed deps.lock; it may only make what git ignores or `keep` names" in said


def test_a_lock_file_that_is_not_there_is_named(project):
    p = project("phases: {a: {keep: {deps: [no.lock, none/*.lock]}, run: 'true'}}")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "FAILED a: `keep`: no file matches no.lock, none/*.lock, which deps is made from" in said


def test_what_git_has_cannot_be_kept(project):
    p = keeping(project, **{"deps/tracked": "x"})
    assert "FAILED test: `keep`: deps is in git; only what git does not have can be kept" in p.doit(
        "sdlc", status=1
    )


def test_copy_brings_what_git_does_not_have_and_never_captures_it(project):
    p = project(
        "phases: {a: {copy: [.env, 'local/**', README.md, absent], run: 'cat .env local/deep/x README.md; echo changed >> .env; touch new'}}",
        **{".gitignore": ".env\n"},
    )
    p.write(".env", "KEY=1\n")
    p.write("local/deep/x", "local\n")  # not even ignored
    p.doit("sdlc", "ADW_ID=x")
    assert p.log("x", "a") == "KEY=1\nlocal\nhello\n"
    assert set(p.tree("adw/x")) - set(p.tree("main")) == {"new"}
    assert (p.path / ".env").read_text() == "KEY=1\n"


def test_copy_follows_no_link_out_of_the_workspace(project, tmp_path):
    p = project("phases: {a: {copy: 'sub/.env', run: 'true'}}", **{".gitignore": ".env\n"})
    (tmp_path / "outside").mkdir()
    (p.path / "sub").symlink_to(tmp_path / "outside")
    p.commit()
    (p.path / "sub").unlink()
    p.write("sub/.env", "KEY=1\n")
    p.doit("sdlc", "ADW_ID=x")
    assert not list((tmp_path / "outside").iterdir())


def test_side_by_side_each_has_its_own_port_and_compose_name(project):
    serve = """
import os, socket, time
with socket.socket() as server:
    server.bind(("127.0.0.1", int(os.environ["ADW_PORT"])))
    time.sleep(1)
with open(os.environ["ADW_PHASE"], "w") as file:
    file.write(os.environ["COMPOSE_PROJECT_NAME"])
"""
    p = project("phases: {a: {run: python3 serve.py}, b: {run: python3 serve.py}}", **{"serve.py": serve})
    p.doit("sdlc", "ADW_ID=x")
    names = {p.tree("adw/x")[name] for name in "ab"}
    assert len(names) == 2
    assert all(name.startswith("adws-") for name in names)


@pytest.mark.slow
def test_a_real_virtual_environment_is_made_once(project):
    p = project(
        """
phases:
  test:
    keep: {.venv: [requirements.txt, pyproject.toml]}
    setup: python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt -e .
    run: .venv/bin/python -c "import six, mine; print(six.__name__, mine.WORD, mine.__file__)" && .venv/bin/pip --version
    writes: []
""",
        **{
            "requirements.txt": "six==1.16.0\n",
            "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "mine"\nversion = "1"\n[tool.setuptools]\npy-modules = ["mine"]\n',
            "mine.py": "WORD = 'first'\n",
            ".gitignore": "*.egg-info\nbuild\n",
        },
    )
    p.adws("sdlc", "ADW_ID=x")
    assert "six first" in p.log("x", "test")
    p.write("mine.py", "WORD = 'second'\n")
    p.commit()
    p.adws("sdlc", "ADW_ID=y")
    assert "six second" in p.log("y", "test")
    assert not (p.path / ".adws/runs/y/test/attempt-1/log.setup").exists()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("npm"), reason="needs npm: apt install npm")
def test_a_real_npm_project_is_installed_once(project):
    lock = {"name": "app", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}
    p = project(
        """
phases:
  test:
    keep: {node_modules: package-lock.json}
    setup: npm ci --no-audit --no-fund
    run: node -e "console.log(require('is-number')(5))"
    writes: []
""",
        **{"package.json": json.dumps(lock), ".gitignore": "node_modules\n"},
    )
    p.run("npm", "install", "--package-lock-only", "--no-audit", "--no-fund")
    p.commit()
    for adw_id in ("x", "y"):
        p.adws("sdlc", f"ADW_ID={adw_id}")
        assert p.log(adw_id, "test") == "true\n"
    assert (p.path / ".adws/runs/x/test/attempt-1/log.setup").exists()
    assert not (p.path / ".adws/runs/y/test/attempt-1/log.setup").exists()


def test_what_a_capture_leaves_out_is_told_in_the_log(project):
    leave = "mkdir -p dist __pycache__ kept .venv; touch dist/a kept/b __pycache__/c d; mkfifo pipe"
    p = project(
        f"phases: {{a: {{run: '{leave}', outputs: kept/**, keep: {{.venv: README.md}}}}}}",
        **{".gitignore": "dist/\nkept/\n.venv\n"},
    )
    p.doit("sdlc", "ADW_ID=x")
    warning = "adws: warning: git ignores or cannot hold dist/ and 1 more; `outputs` can name what to keep\n"
    assert p.log("x", "a").endswith(warning)
    assert {"d", "kept/b"} <= set(p.tree("adw/x"))
    p = project(f"phases: {{a: {{run: '{leave}; rm -r dist pipe', outputs: kept/**}}}}", name="second")
    p.doit("sdlc", "ADW_ID=x")
    assert "warning" not in p.log("x", "a")
