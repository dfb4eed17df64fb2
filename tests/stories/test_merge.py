"""The merge trusts no one: it re-verifies the records, and moves one branch once or not at all."""

from __future__ import annotations

import os
import shutil

import pytest

TWO = "phases: {build: {run: echo b > b}, test: {needs: build, run: test -e $HOME/ok}}"


def no_branch(p) -> bool:
    return p.git("branch", "--list", "adw/*") == ""


def green(p) -> None:
    (p.path.parent / "home/ok").touch()


def test_single_does_not_get_past_a_failed_phase(project):
    p = project(TWO)
    p.doit("test", "ADW_ID=x", status=1)
    said = p.doit("run", "--single", "merge", "ADW_ID=x", status=1)
    assert "phase `test` failed: exit 1" in said
    assert no_branch(p)


def test_single_does_not_get_past_a_phase_that_never_ran(project):
    p = project(TWO)
    p.doit("build", "ADW_ID=x")
    assert "phase `test` has no result" in p.doit("run", "-s", "merge", "ADW_ID=x", status=1)
    said = p.doit("run", "-s", "test", "ADW_ID=y", status=1)
    assert (
        "phase `test` needs `build`, which has no result in run y; run it first: doit build ADW_ID=y" in said
    )
    assert no_branch(p)


def test_ignore_does_not_get_past_a_failed_phase(project):
    p = project(TWO)
    p.doit("ignore", "test")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "FAILED test: exit 1" in said
    assert no_branch(p)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (["update-ref", "-d", "refs/adws/x/test"], "phase `test` has no result"),
        (["update-ref", "refs/adws/x/test", "refs/adws/x/build"], "phase `test` has no result"),
        (["update-ref", "refs/adws/x/build", "main"], "phase `build` has no result"),
    ],
)
def test_a_deleted_or_foreign_ref_is_no_result(project, tamper, said):
    p = project(TWO)
    green(p)
    p.doit("test", "ADW_ID=x")
    p.git(*tamper)
    assert said in p.doit("run", "-s", "merge", "ADW_ID=x", status=1)
    assert no_branch(p)


def forge(p, ref: str, tree: str, parent: str) -> None:
    message = p.git("log", "-1", "--format=%B", ref)
    p.git("update-ref", ref, p.git("commit-tree", tree, "-p", parent, "-m", message))


def test_a_record_moved_onto_another_base_is_found(project):
    p = project(TWO)
    green(p)
    p.doit("test", "ADW_ID=x")
    p.write("evil", "x")
    p.commit()
    forge(p, "refs/adws/x/build", "main^{tree}", "main")
    assert "the record of phase `build` is inconsistent" in p.doit("run", "-s", "merge", "ADW_ID=x", status=1)
    assert no_branch(p)


def test_a_result_for_other_inputs_is_not_taken(project):
    p = project(TWO)
    green(p)
    p.doit("test", "ADW_ID=x")
    p.write("pipeline.yaml", (p.path / "pipeline.yaml").read_text().replace("echo b", "echo bb"))
    said = p.doit("run", "-s", "merge", "ADW_ID=x", status=1)
    assert "the result of phase `build` is not for these inputs; run it again" in said
    assert no_branch(p)


def judged(command: str) -> str:
    return f"""
phases:
  code: {{run: echo good > code}}
  other: {{run: "mkdir docs; echo d > docs/d; test -e $HOME/evil && echo bad > helper || true"}}
  test:
    needs: code
    evidence: junit.xml
    inputs: ["**", "!docs/**"]
    run: |
      echo test >> $HOME/ran
      {command}
      echo '<testsuite><testcase name="t"/></testsuite>' > $ADW_OUT/junit.xml
"""


def test_the_merged_tree_is_judged_again_when_it_differs_in_the_inputs(project):
    p = project(judged("test ! -e helper"))
    (p.path.parent / "home/evil").touch()
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "phase `test` passed alone, but not on the merged tree: exit 1" in said
    assert no_branch(p)


def test_a_change_outside_the_inputs_does_not_cost_a_second_test_run(project):
    p = project(judged("true"))
    p.doit("sdlc", "ADW_ID=x")
    assert (p.path.parent / "home/ran").read_text() == "test\n"


MAIN = "merge: {into: main}\nphases: {a: {run: echo a > a}}"


def test_a_branch_that_is_checked_out_is_fast_forwarded_with_its_files(project):
    p = project(MAIN)
    p.write("untracked", "mine")
    p.doit("sdlc", "ADW_ID=x")
    assert (p.path / "a").read_text() == "a\n"
    assert p.git("status", "--porcelain") == "?? untracked"


def test_a_file_that_git_could_not_remove_does_not_stay_in_the_checkout(project, tmp_path):
    """Where unlink fails, git only warns and calls it a success."""
    p = project("merge: {into: main}\nphases: {a: {run: rm README.md}}")
    stub = tmp_path / "git"
    stub.write_text(
        f'#!/bin/sh\n{shutil.which("git")} "$@" || exit\n'
        'case "$*" in merge*) git show HEAD^:README.md > README.md; touch merged;; esac\n'
    )
    stub.chmod(0o755)
    p.doit("sdlc", "ADW_ID=x", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert p.git("status", "--porcelain") == "?? merged"


def test_a_file_in_the_way_is_not_overwritten_and_the_commit_is_kept(project):
    p = project(MAIN)
    p.write("a", "mine")
    before = p.git("rev-parse", "main")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "branch `main` was not moved: " in said
    assert "the commit is kept: " + p.git("rev-parse", "refs/adws/x/merge") in said
    assert p.git("rev-parse", "main") == before
    assert (p.path / "a").read_text() == "mine"


def test_a_branch_that_moved_meanwhile_gets_the_change_on_top(project):
    p = project(MAIN)
    p.doit("a", "ADW_ID=x")
    p.write("README.md", "moved on\n")
    p.commit("user")
    user = p.git("rev-parse", "main")
    p.doit("sdlc", "ADW_ID=x")
    assert p.git("rev-parse", "main^") == user
    assert p.tree("main")["README.md"] == "moved on"
    assert p.tree("main")["a"] == "a"


def test_a_change_that_does_not_fit_the_moved_branch_is_refused(project):
    p = project(MAIN)
    p.doit("a", "ADW_ID=x")
    p.write("a", "the user's\n")
    p.commit("user")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "branch `main` and this run both changed a; nothing was merged" in said


def test_a_second_round_lands_on_top_of_the_first(project):
    p = project('phases: {a: {run: cp "$ADW_ISSUE" a}}', issue="one\n")
    p.doit("sdlc", "ADW_ID=x")
    first = p.git("rev-parse", "adw/x")
    (p.path.parent / "issue.md").write_text("two\n")
    p.doit("sdlc", "ADW_ID=x")
    assert p.git("rev-parse", "adw/x^") == first
    assert p.tree("adw/x")["a"] == "two"


def test_a_deleted_branch_is_made_again(project):
    p = project("phases: {a: {run: echo a > a}}")
    p.doit("sdlc", "ADW_ID=x")
    p.git("branch", "-D", "adw/x")
    p.doit("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["a"] == "a"


def test_a_branch_in_the_way_of_ours_is_told(project):
    p = project("phases: {a: {run: echo a > a}}")
    p.git("branch", "adw")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "branch `adw/x` was not moved: " in said


def test_a_branch_below_ours_is_not_moved_in_its_place(project):
    p = project("phases: {a: {run: echo a > a}}")
    p.git("switch", "-q", "-c", "adw/x/mine")
    before = p.git("rev-parse", "HEAD")
    assert "branch `adw/x` was not moved: " in p.doit("sdlc", "ADW_ID=x", status=1)
    assert p.git("rev-parse", "HEAD") == before
    assert p.git("status", "--porcelain") == ""


def test_a_branch_that_is_another_name_of_one_is_refused(project):
    p = project("merge: {into: alias}\nphases: {a: {run: echo a > a}}")
    p.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "branch `alias` was not moved: it is only another name of refs/heads/main" in said
    assert p.git("status", "--porcelain") == ""


def test_a_dirty_checkout_is_not_stashed_away(project):
    p = project("merge: {into: main}\nphases: {a: {run: echo built > README.md}}")
    p.git("config", "merge.autoStash", "true")
    p.write("README.md", "mine\n")
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "would be overwritten by merge: README.md" in said
    assert (p.path / "README.md").read_text() == "mine\n"
    assert p.git("stash", "list") == ""


def test_evidence_on_a_merged_tree_that_the_command_mends_first_does_not_count(project):
    p = project(
        """
phases:
  build: {run: echo good > a.src}
  test:
    needs: build
    evidence: junit.xml
    run: |
      for f in *.src; do sed -i s/BUG/good/ $f; done
      echo '<testsuite><testcase name="t"/></testsuite>' > $ADW_OUT/junit.xml
  document: {needs: build, run: echo BUG > late.src}
workflows: {sdlc: [test, document]}
"""
    )
    said = p.doit("sdlc", "ADW_ID=x", status=1)
    assert "phase `test` passed alone, but not on the merged tree: changed the files that it judges" in said
    assert no_branch(p)


def test_a_run_may_be_called_merge(project):
    p = project("phases: {a: {run: echo a > a}}")
    p.doit("sdlc", "ADW_ID=merge")
    assert p.tree("adw/merge")["a"] == "a"


def test_a_lock_that_a_killed_git_left_on_our_branch_is_no_obstacle(project):
    p = project("phases: {a: {run: echo a > a}}")
    (p.path / ".git/refs/heads/adw").mkdir()
    (p.path / ".git/refs/heads/adw/x.lock").touch()
    p.doit("sdlc", "ADW_ID=x")


@pytest.mark.parametrize(
    ("call", "at"),
    [
        *(("unlink", 2), ("write", 3), ("rename", 1), ("mkdir", 1)),
        *(pytest.param("unlink", at, marks=pytest.mark.slow) for at in (1, 3)),
        *(pytest.param("write", at, marks=pytest.mark.slow) for at in (1, 2, 4, 5, 6, 7)),
        *(pytest.param("rename", at, marks=pytest.mark.slow) for at in (2, 3)),
    ],
)
def test_a_git_that_is_killed_while_it_moves_a_checkout_is_no_obstacle(project, call: str, at: int):
    """strace kills it at its n-th call of that kind, and our process is killed as well."""
    if not shutil.which("strace"):
        pytest.skip("needs strace: apt install strace")
    phases = "a: {run: 'mkdir d; for i in 1 2 3; do echo new > d/$i; done; echo new > README.md; rm gone'}"
    p = project(f"phases: {{{phases}}}\nmerge: {{into: main}}", gone="gone\n")
    fake = p.path.parent / "bin" / "git"
    fake.parent.mkdir()
    kill = f"strace -f -qq -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={at}"
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = merge ] || exec {shutil.which("git")} "$@"\n'
        f'{kill} {shutil.which("git")} "$@"\nkill -9 $PPID\n'
    )
    fake.chmod(0o755)
    p.doit("-n", "1", "ADW_ID=x", status=None, PATH=f"{fake.parent}:{p.env['PATH']}")
    p.doit("ADW_ID=x")
    assert p.git("status", "--porcelain") == ""
    assert p.git("rev-list", "--count", "main") == "2"
    assert p.tree("main")["d/3"] == "new"
    assert not list((p.path / ".git").rglob("*.lock")) or all(
        "adws" in str(f) for f in (p.path / ".git").rglob("*.lock")
    )


def test_what_a_refused_merge_had_made_is_not_taken_for_merged(project):
    """The second change was made, and did not come to the branch; so the first is still what it goes on from."""
    p = project('phases: {a: {run: "tail -1 $ADW_ISSUE > a"}}\nmerge: {into: main}')
    (p.path.parent / "issue.md").write_text("# Do it\none\n")
    p.doit("sdlc", "ADW_ID=x")
    p.write("a", "in the way\n")
    (p.path.parent / "issue.md").write_text("# Do it\ntwo\n")
    assert "branch `main` was not moved" in p.doit("sdlc", "ADW_ID=x", status=1)
    p.git("checkout", "a")
    p.doit("sdlc", "ADW_ID=x")
    assert p.tree("main")["a"] == "two"
    p.adws("verify", "main")


def test_the_attributes_and_drivers_of_a_machine_resolve_no_conflict(project):
    p = project("phases: {a: {run: echo a > f}, b: {run: echo b > f}}", f="one\n")
    attributes = p.path.parent / "home/.config/git/attributes"
    attributes.parent.mkdir(parents=True)
    attributes.write_text("* merge=union\n")
    p.git("config", "merge.default", "evil")
    p.git("config", "merge.evil.driver", f"touch {p.path.parent}/PWNED; true")
    said = p.doit("sdlc", "ADW_ID=x", status=1, XDG_CONFIG_HOME=str(attributes.parent.parent))
    assert "phases `a` and `b` both changed f" in said
    assert not (p.path.parent / "PWNED").exists()
