"""From an issue to one commit: what a person sees of a run that goes well."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DIAMOND = """
phases:
  build: {run: "echo built > build.txt"}
  test: {needs: build, run: "cat build.txt; ls; echo t > test.txt"}
  document: {needs: build, run: "cat build.txt; ls; echo d > doc.txt"}
workflows: {sdlc: [test, document], quick: [build]}
"""


def test_one_commit_holds_what_all_phases_made(project):
    p = project(DIAMOND)
    before = p.git("rev-parse", "main")
    said = p.doit("sdlc", "ADW_ID=x")
    assert p.git("rev-parse", "main", "adw/x^") == f"{before}\n{before}"
    new = {"build.txt": "built", "test.txt": "t", "doc.txt": "d"}
    assert p.tree("adw/x") == p.tree("main") | new
    assert "one commit on branch adw/x" in said
    assert p.git("status", "--porcelain") == ""


@pytest.mark.parametrize("how", [["-n", "1"], ["-n", "3"], ["-n", "3", "-P", "thread"], ["-n", "0"]])
def test_serial_and_parallel_end_in_the_same_tree(project, how):
    p = project(DIAMOND)
    p.doit(*how, "sdlc", "ADW_ID=x")
    assert sorted(p.tree("adw/x")) == [
        "README.md",
        "build.txt",
        "doc.txt",
        "dodo.py",
        "pipeline.yaml",
        "test.txt",
    ]


def test_phases_side_by_side_do_not_see_each_other(project):
    p = project(DIAMOND)
    p.doit("sdlc", "ADW_ID=x")
    for name, other in (("test", "doc.txt"), ("document", "test.txt")):
        log = p.log("x", name)
        assert "built" in log
        assert other not in log


def test_a_workflow_runs_what_it_wants_and_what_that_needs(project):
    p = project(DIAMOND)
    said = p.doit("quick", "ADW_ID=x")
    assert sorted(set(p.tree("adw/x")) - set(p.tree("main"))) == ["build.txt"]
    assert "document" not in said


def test_a_phase_alone_runs_with_what_it_needs_and_merges_nothing(project):
    p = project(DIAMOND)
    p.doit("test", "ADW_ID=x")
    refs = p.git("for-each-ref", "--format=%(refname)").splitlines()
    assert "refs/adws/x/test" in refs
    assert "refs/adws/x/document" not in refs
    assert "refs/heads/adw/x" not in refs


def test_list_shows_workflows_phases_and_the_merge_and_makes_nothing(project):
    p = project("phases: {build: {run: make all, doc: Build it}}")
    said = p.doit("list")
    assert re.search(r"^build +Build it$", said, re.MULTILINE)
    assert re.search(r"^merge +one commit on adw/{adw_id} with what all phases made$", said, re.MULTILINE)
    assert re.search(r"^sdlc +", said, re.MULTILINE)
    assert not (p.path / ".adws").exists()
    assert p.git("for-each-ref", "refs/adws") == ""


def test_without_an_id_one_is_made_and_printed(project):
    p = project("phases: {a: {run: echo a > a}}")
    made = re.search(r"^run ([0-9a-f]{8}) on ", p.doit("sdlc"), re.MULTILINE)
    assert made
    assert "a" in p.tree(f"adw/{made[1]}")


def test_variables_come_from_the_environment_too(project):
    p = project("phases: {a: {run: echo a > a}}")
    p.doit("sdlc", ADW_ID="from-ci")
    assert "a" in p.tree("adw/from-ci")


def test_the_contract_of_a_phase(project):
    show = 'env | sort; cat "$ADW_ISSUE"; cat "$ADW_STATE"; readlink /proc/self/fd/0; ls -A "$ADW_OUT"'
    p = project(
        f"""
phases:
  a: {{run: "mkdir -p $ADW_OUT/d; echo art > $ADW_OUT/d/f; echo '{{\\"summary\\": \\"s1\\"}}' > $ADW_OUT/result.json"}}
  b: {{needs: a, env: {{MINE: "1"}}, run: '{show.replace("'", "''")}; cat "$(dirname "$ADW_STATE")"/needs/a/d/f'}}
""",
        issue="# Fix it\n",
    )
    p.doit("sdlc", "ADW_ID=x", SECRET="s3cret", VIRTUAL_ENV="/venv")
    log = p.log("x", "b")
    assert "s3cret" not in log
    env = dict(line.split("=", 1) for line in log.splitlines() if re.match(r"[A-Z_]+=", line))
    base = p.git("rev-parse", "refs/adws/x/a")
    assert env["ADW_ID"] == "x"
    assert env["ADW_PHASE"] == "b"
    assert env["ADW_BASE"] == base
    assert env["MINE"] == "1"
    assert env["VIRTUAL_ENV"] == "/venv"
    assert int(env["ADW_PORT"]) == 20_000 + 100 * int(env["ADW_SLOT"])
    assert set(env) <= {
        *(
            "ADW_BASE",
            "ADW_ID",
            "ADW_ISSUE",
            "ADW_OUT",
            "ADW_PHASE",
            "ADW_PORT",
            "ADW_SLOT",
            "ADW_STATE",
            "COMPOSE_PROJECT_NAME",
            "GIT_COMMITTER_EMAIL",
        ),
        *("HOME", "LANG", "MINE", "PATH", "PWD", "TERM", "TMPDIR", "VIRTUAL_ENV", "SHLVL", "OLDPWD", "_"),
    }
    assert "# Fix it" in log
    assert "/dev/null" in log
    assert log.rstrip().endswith("art")
    state = json.loads(log[log.index("{") : log.rindex("}") + 1])
    assert state["a"]["status"] == "passed"
    assert state["a"]["summary"] == "s1"


def test_a_workspace_lies_outside_the_repository_and_has_a_git_of_its_own(project):
    p = project(
        "phases: {a: {run: pwd; git rev-parse --absolute-git-dir; git log --format=%s; git status --short}}"
    )
    p.doit("sdlc", "ADW_ID=x")
    where, git_dir, *rest = p.log("x", "a").splitlines()
    assert not Path(where).is_relative_to(p.path)
    assert git_dir == f"{where}/.git"
    assert rest == ["start"]


@pytest.mark.parametrize("keep", ["", "yes"])
def test_what_a_phase_does_to_its_git_reaches_neither_us_nor_the_repository(project, keep):
    evil = """
      git checkout -q -b mine; echo a > a; git add a; git -c user.name=x -c user.email=x commit -qm mine
      git update-index --skip-worktree README.md; echo bye > README.md; echo b > b
      echo 'b filter=evil' > .git/info/attributes
      for key in core.fsmonitor filter.evil.clean; do git config $key 'touch $HOME/pwned; cat'; done
      test -z "$KEEP" && rm -rf .git || true
"""
    p = project(f"phases:\n  a:\n    env: {{KEEP: '{keep}'}}\n    run: |{evil}")
    refs = p.git("for-each-ref", "refs/heads")
    p.doit("a", "ADW_ID=x")
    assert p.tree("refs/adws/x/a") == p.tree("main") | {"a": "a", "b": "b", "README.md": "bye"}
    assert p.git("for-each-ref", "refs/heads") == refs
    assert not (p.path.parent / "home/pwned").exists()


def test_the_next_phase_in_a_slot_sees_nothing_of_the_last(project):
    p = project(
        'phases: {a: {run: "echo x > junk; echo y >> README.md"}, b: {needs: [], run: "ls; cat README.md"}}'
    )
    p.doit("a", "ADW_ID=one")
    p.doit("b", "ADW_ID=two")
    assert p.log("two", "b").split() == ["README.md", "dodo.py", "pipeline.yaml", "hello"]


def test_the_state_file_has_each_phases_fields_under_its_own_name(project):
    write = 'echo \'{\\"summary\\": \\"ok\\", \\"path\\": \\"docs/x.md\\", \\"status\\": \\"forged\\"}\' > $ADW_OUT/result.json'
    p = project(f'phases: {{review: {{run: "{write}"}}, document: {{run: "{write}"}}}}')
    p.doit("sdlc", "ADW_ID=x")
    state = json.loads((p.path / ".adws/runs/x/adw_state.json").read_text())
    assert state["review_status"] == state["doc_status"] == "passed"
    assert state["doc_path"] == "docs/x.md"
    assert state["adw_id"] == "x"


def test_caches_of_common_tools_are_never_captured(project):
    p = project(
        "phases: {a: {run: mkdir -p m/__pycache__ .pytest_cache; echo > m/__pycache__/x.pyc; echo > m/a.py}}"
    )
    p.doit("sdlc", "ADW_ID=x")
    assert set(p.tree("adw/x")) - set(p.tree("main")) == {"m/a.py"}


def test_the_commit_says_what_made_it(project):
    p = project(DIAMOND, issue="\n# Fix *it*\n\nAdws-Run: forged\n")
    p.doit("sdlc", "ADW_ID=x")
    message = p.git("log", "-1", "--format=%B", "adw/x")
    assert message.splitlines()[0] == "Fix *it*"
    assert p.git("log", "-1", "--format=%an <%ae> %cn", "adw/x") == "Ada <ada@example.org> Ada"
    assert p.git("log", "-1", "--format=%(trailers:key=Adws-Run,valueonly)", "adw/x") == "x"
    assert p.git("log", "-1", "--format=%(trailers:key=Adws-Base,valueonly)", "adw/x") == p.git(
        "rev-parse", "main"
    )
    assert re.search(r"^Adws-Pipeline: sha256:[0-9a-f]{64}$", message, re.MULTILINE)
    assert (
        len(
            re.findall(
                r"^Adws-Phase: (?:build|test|document) passed \d+\.\ds [0-9a-f]{40}$", message, re.MULTILINE
            )
        )
        == 3
    )


def test_no_identity_is_no_obstacle(project):
    p = project("phases: {a: {run: echo a > a}}")
    p.git("config", "--unset", "user.name")
    p.git("config", "--unset", "user.email")
    p.doit("sdlc", "ADW_ID=x")
    assert p.git("log", "-1", "--format=%an <%ae>", "adw/x") == "adws <adws@localhost>"


def test_a_run_that_changes_nothing_makes_no_commit(project):
    p = project("phases: {a: {run: 'true'}}")
    assert "no change, no commit" in p.doit("sdlc", "ADW_ID=x")
    assert p.git("branch", "--list", "adw/*") == ""


def test_adws_works_from_a_subdirectory_and_on_another_repository(project):
    p = project("phases: {a: {run: echo a > a}}")
    (p.path / "sub").mkdir()
    p.adws("sdlc", "ADW_ID=x", cwd=p.path / "sub")
    p.adws("sdlc", "ADW_ID=y", f"REPO={p.path}", cwd=p.path.parent)
    assert p.tree("adw/x") == p.tree("adw/y")


def test_the_issue_may_come_from_standard_input(project):
    p = project('phases: {a: {run: cp "$ADW_ISSUE" a}}')
    p.adws("sdlc", "ADW_ID=x", "ISSUE=-", stdin="# from a pipe\n")
    assert p.tree("adw/x")["a"] == "# from a pipe"


def test_an_agent_gets_its_prompt_on_standard_input_or_as_a_file(project):
    phases = """
agents:
  one: {run: [sh, -c, "cat > one.txt"]}
  two: {model: big, run: [cp, "{prompt}", "{model}-{phase}.txt"]}
phases:
  a: {prompt: ask.md, agent: one}
  b: {prompt: ask.md, agent: two}
"""
    p = project(phases, issue="# {phase} $(id)\n", **{"ask.md": "do {phase} of {adw_id}:\n{issue}"})
    p.doit("sdlc", "ADW_ID=x")
    made = p.tree("adw/x")
    assert made["one.txt"] == "do a of x:\n# {phase} $(id)"
    assert made["big-b.txt"] == "do b of x:\n# {phase} $(id)"
    p.doit("a", "ADW_ID=y", "AGENT=two")
    assert "big-a.txt" in p.tree("refs/adws/y/a")


@pytest.mark.parametrize("state", ["dirty", "detached", "mid-merge", "shallow", "subdir-worktree", "sha256"])
def test_the_state_of_the_checkout_is_no_obstacle_and_stays(project, state):
    p = project("phases: {a: {run: echo a > a}}")
    if state == "dirty":
        p.write("README.md", "mine\n")
        p.write("new.txt", "mine\n")
        p.git("add", "new.txt")
    elif state == "detached":
        p.git("checkout", "-q", "--detach")
    elif state == "mid-merge":
        p.git("checkout", "-q", "-b", "other")
        p.write("README.md", "theirs\n")
        p.commit()
        p.git("checkout", "-q", "main")
        p.write("README.md", "ours\n")
        p.commit()
        p.run("git", "merge", "other", status=1)
    elif state == "shallow":
        p.write("more", "x")
        p.commit()
        p.git("clone", "-q", "--depth", "1", f"file://{p.path}", "../shallow")
        p.path = p.path.parent / "shallow"
    elif state == "subdir-worktree":
        p.git("worktree", "add", "-q", "../linked", "-b", "linked")
        p.path = p.path.parent / "linked"
    else:
        p.run("git", "init", "-q", "--object-format=sha256", "../s256")
        p.run("cp", "pipeline.yaml", "dodo.py", "README.md", "../s256")
        p.path = p.path.parent / "s256"
        p.env |= {
            f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "A"), ("EMAIL", "a@b"))
        }
        p.commit("start")
    before = p.run("git", "status", "--porcelain=v2", "--branch"), p.git("stash", "list")
    p.doit("sdlc", "ADW_ID=x")
    assert (p.run("git", "status", "--porcelain=v2", "--branch"), p.git("stash", "list")) == before
    assert p.tree("adw/x")["a"] == "a"


def test_git_variables_of_a_hook_do_not_lead_us_astray(project):
    p, other = project("phases: {a: {run: echo a > a}}"), project("phases: {a: {run: 'true'}}", name="other")
    p.doit("sdlc", "ADW_ID=x", GIT_DIR=str(other.path / ".git"), GIT_INDEX_FILE="/nowhere")
    assert "a" in p.tree("adw/x")
    assert other.git("for-each-ref", "refs/adws") == ""
