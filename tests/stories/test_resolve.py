"""Conflicts of the merge that an agent resolves, and what it may not do with them."""

from __future__ import annotations

import re

import pytest

from tests.stories import agents

CONFLICT = """
agents: {tool: {run: [tool]}}
phases:
  a: {run: "printf 'one\\na\\nthree\\n' > f"}
  b: {run: "printf 'one\\nb\\nthree\\n' > f"}
  test: {needs: a, run: 'echo ran >> $HOME/ran; cp $HOME/junit.xml $ADW_OUT; touch $ADW_OUT/junit.xml', evidence: junit.xml, inputs: f}
merge: {resolve: {prompt: prompts/resolve.md, agent: tool}}
"""
GREEN = '<testsuite><testcase name="t"/></testsuite>'
RESOLVES = r"""
[ $ADW_PHASE = merge ]
sed -i '/^[<=>]\{7\}/d' f
"""


def conflicting(project, script: str, pipeline: str = CONFLICT):
    p = project(pipeline, f="one\ntwo\nthree\n")
    (p.path.parent / "home/junit.xml").write_text(GREEN)
    agents.install(p, script, "tool")
    return p


def ran(p) -> int:
    return len((p.path.parent / "home/ran").read_text().splitlines())


def test_the_resolution_is_tested_and_merged(project):
    p = conflicting(project, RESOLVES)
    p.adws("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["f"] == "one\na\nb\nthree"
    assert ran(p) == 2  # alone, and on the merged tree
    said = p.git("log", "-1", "--format=%B", "adw/x")
    assert re.search(r"^merge: conflict resolved in [\d.]+ s, by tool$", said, re.MULTILINE)
    assert f"\nAdws-Resolve: {p.git('rev-parse', 'refs/adws/x/attempt/merge/1')}" in said
    assert p.adws("verify", "adw/x").endswith("; not signed\n")


def test_the_agent_gets_the_conflict_and_is_told_where(project):
    p = conflicting(project, "cat f; " + RESOLVES)
    p.adws("sdlc", "ADW_ID=x")
    assert "\n- f\n" in agents.prompt(p, "merge", 1)
    assert re.search("<<<<<<< .*\na\n=======\nb\n>>>>>>> ", p.log("x", "merge"))


def test_the_same_conflict_is_resolved_once(project):
    p = conflicting(project, RESOLVES)
    p.adws("sdlc", "ADW_ID=x")
    p.git("branch", "-D", "adw/x")
    agents.install(p, "exit 1", "tool")
    p.adws("sdlc", "ADW_ID=x")
    assert p.tree("adw/x")["f"] == "one\na\nb\nthree"
    assert len(agents.attempts(p, "merge")) == 1


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("true", "left conflict markers in f"),
        ("sed -i '/^>>>>>>>/d' f", "left conflict markers in f"),
        (RESOLVES + "echo more > g", "changed g, outside its `writes`"),
        (RESOLVES + "exit 3", "exit 3"),
    ],
)
def test_what_is_no_resolution_is_not_merged(project, script: str, said: str):
    p = conflicting(project, script)
    seen = p.adws("sdlc", "ADW_ID=x", status=1)
    kept = "phases `a` and `b` both changed f; nothing was merged, both results are kept"
    assert f"FAILED merge: {kept}; tool did not resolve it: {said}\n" in seen
    assert not p.git("branch", "--list", "adw/*")
    agents.install(p, RESOLVES, "tool")
    p.adws("sdlc", "ADW_ID=x")


def test_a_resolution_that_breaks_the_tests_is_not_merged(project):
    p = conflicting(project, RESOLVES)
    fails = GREEN.replace("/></testsuite>", "><failure/></testcase></testsuite>")
    agents.install(p, f"{RESOLVES}\necho '{fails}' > $HOME/junit.xml", "tool")
    seen = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "phase `test` passed alone, but on the merged tree it has failing tests: t, of 1" in seen
    assert not p.git("branch", "--list", "adw/*")


def test_it_is_off_by_default(project):
    p = conflicting(project, RESOLVES, CONFLICT.replace(CONFLICT[CONFLICT.index("merge:") :], ""))
    seen = p.adws("sdlc", "ADW_ID=x", status=1)
    assert (
        "FAILED merge: phases `a` and `b` both changed f; nothing was merged, both results are kept\n" in seen
    )


def test_a_conflict_with_the_branch_is_resolved_too(project):
    p = conflicting(
        project,
        RESOLVES,
        "agents: {tool: {run: [tool]}}\n"
        "phases: {a: {run: \"printf 'one\\na\\nthree\\n' > f\"}}\n"
        "merge: {into: result, resolve: {prompt: prompts/resolve.md, agent: tool}}",
    )
    p.git("checkout", "--quiet", "-b", "result")
    p.write("f", "one\nmine\nthree\n")
    p.commit("mine")
    p.git("checkout", "--quiet", "main")
    p.adws("sdlc", "ADW_ID=x")
    assert p.tree("result")["f"] == "one\nmine\na\nthree"
    p.adws("verify", "result")


def test_a_forged_resolution_is_found(project):
    p = conflicting(project, RESOLVES)
    p.adws("sdlc", "ADW_ID=x")
    message = p.git("log", "-1", "--format=%B", "adw/x").replace("Adws-Resolve: ", "Adws-Resolve: 0")
    forged = p.run("git", "commit-tree", "adw/x^{tree}", "-p", "adw/x^", stdin=message).strip()
    said = p.adws("verify", forged, status=1)
    assert "a resolution of a conflict that it names is not here" in said
