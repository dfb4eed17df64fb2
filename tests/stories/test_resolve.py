"""Conflicts of the merge that an agent resolves, and what it may not do with them."""

from __future__ import annotations

import json
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


@pytest.mark.slow
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
        ("sed -i '/^[<>]/d' f", "left conflict markers in f"),
        ("rm f", "deleted f, which both sides have"),
        (RESOLVES + "echo more > g", "changed g, outside its `writes`"),
        (RESOLVES + "exit 3", "exit 3"),
    ],
)
def test_what_is_no_resolution_is_not_merged(project, script: str, said: str):
    p = conflicting(project, script)
    seen = p.adws("sdlc", "ADW_ID=x", status=1)
    kept = "phases `a` and `b` both changed f; nothing was merged, both results are kept"
    assert f"FAILED merge: {kept}; tool did not resolve it: {said}; its log is " in seen
    assert not p.git("branch", "--list", "adw/*")
    agents.install(p, RESOLVES, "tool")
    p.adws("sdlc", "ADW_ID=x")


def test_a_resolution_that_breaks_the_tests_is_not_merged(project):
    p = conflicting(project, RESOLVES)
    fails = GREEN.replace("/></testsuite>", "><failure/></testcase></testsuite>")
    agents.install(p, f"{RESOLVES}\necho '{fails}' > $HOME/junit.xml", "tool")
    seen = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "phase `test` passed alone, but not on the merged tree: has failing tests: t, of 1" in seen
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


@pytest.mark.slow
def test_a_forged_resolution_is_found(project):
    p = conflicting(project, RESOLVES)
    p.adws("sdlc", "ADW_ID=x")
    message = p.git("log", "-1", "--format=%B", "adw/x").replace("Adws-Resolve: ", "Adws-Resolve: 0")
    forged = p.run("git", "commit-tree", "adw/x^{tree}", "-p", "adw/x^", stdin=message).strip()
    said = p.adws("verify", forged, status=1)
    assert "a resolution of a conflict that it names is not here" in said


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("echo a > f", "rm f"),
        ("printf 'a\\0' > f", "printf 'b\\0' > f"),
        ("rm f; mkdir f; echo a > f/x", "echo b > f"),
    ],
    ids=["deleted", "binary", "directory"],
)
def test_a_conflict_without_markers_is_for_a_person(project, a: str, b: str):
    p = project(
        "agents: {tool: {run: [tool]}}\n"
        "merge: {resolve: {prompt: prompts/resolve.md, agent: tool}}\n"
        f"phases: {{a: {{run: {json.dumps(a)}}}, b: {{run: {json.dumps(b)}}}}}",
        f="one\0",
    )
    agents.install(p, "touch $HOME/called", "tool")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert " was deleted or moved on one side, or is no text\n" in said
    assert not (p.path.parent / "home/called").exists()
    assert not p.git("branch", "--list", "adw/*")


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline",
        b"latin-\xe9",
        *(pytest.param(each, marks=pytest.mark.slow) for each in (b"a[1].txt", b":(x)")),
    ],
)
def test_a_path_of_any_kind_can_be_in_conflict(project, name: bytes):
    quoted = "".join(f"\\{byte:03o}" for byte in name)
    write = 'f=$(printf "{}X"); f=${{f%X}}; printf "one\\n{}\\nthree\\n" > "$f"'
    p = project(
        "agents: {tool: {run: [tool]}}\n"
        "merge: {resolve: {prompt: prompts/resolve.md, agent: tool}}\n"
        f"phases: {{a: {{run: {json.dumps(write.format(quoted, 'a'))}}}, b: {{run: {json.dumps(write.format(quoted, 'b'))}}}}}"
    )
    agents.install(p, "true", "tool")
    said = p.adws("sdlc", "ADW_ID=x", status=1)
    assert "tool did not resolve it: left conflict markers in " in said
    agents.install(p, f'f=$(printf "{quoted}X"); f=${{f%X}}; printf "both\\n" > "$f"', "tool")
    p.adws("sdlc", "ADW_ID=x")


def test_a_resolution_that_was_refused_is_not_taken_again(project):
    p = conflicting(project, RESOLVES)
    fails = GREEN.replace("/></testsuite>", "><failure/></testcase></testsuite>")
    agents.install(p, f"{RESOLVES}\necho '{fails}' > $HOME/junit.xml", "tool")
    p.adws("sdlc", "ADW_ID=x", status=1)
    assert [each["status"] for each in agents.attempts(p, "merge")] == ["passed", "failed"]
    agents.install(p, f"{RESOLVES}\necho '{GREEN}' > $HOME/junit.xml", "tool")
    p.adws("sdlc", "ADW_ID=x")
    p.adws("verify", "adw/x")


def test_a_usage_limit_of_who_resolves_parks_the_run(project):
    p = conflicting(project, "", CONFLICT.replace("{run: [tool]}", "{format: claude, run: [tool]}"))
    told = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected"}}
    result = agents.RESULT | {"is_error": True, "result": "You've hit your limit"}
    agents.install(p, agents.say(told, result) + "exit 1", "tool")
    said = p.adws("sdlc", "ADW_ID=x", status=4)
    assert "merge: waiting: phases `a` and `b` both changed f" in said


MARKS = "======= of the file itself\n<<<<<<< too\n||||||| too\n"


@pytest.mark.parametrize(
    ("resolves", "said"),
    [
        ("sed -i -E '/^(<<<<<<<|>>>>>>>) [0-9a-f]{40}|^=======$/d' $(git ls-files 'f*')", ""),
        ("sed -i -E '/^(<<<<<<<|>>>>>>>) [0-9a-f]{40}/d' $(git ls-files 'f*')", "left conflict markers in "),
    ],
)
@pytest.mark.parametrize("moved", ["", "git mv f f2; "], ids=["there", "moved"])
def test_lines_of_the_file_that_look_like_markers_are_its_own(project, resolves: str, said: str, moved: str):
    text = MARKS + "".join(f"line {number}\n" for number in range(20))
    edit = "sed -i 's/line 10/{}/' f*"
    p = project(
        "agents: {tool: {run: [tool]}}\n"
        "merge: {resolve: {prompt: prompts/resolve.md, agent: tool}}\n"
        f"phases: {{a: {{run: {json.dumps(moved + edit.format('a'))}}}, b: {{run: {json.dumps(edit.format('b'))}}}}}",
        f=text,
    )
    agents.install(p, resolves, "tool")
    seen = p.adws("sdlc", "ADW_ID=x", status=1 if said else 0)
    assert said in seen
    if not said:
        made = p.tree("adw/x")["f2" if moved else "f"]
        assert sorted(made.splitlines()) == sorted([*text.replace("line 10\n", "a\nb\n").splitlines()])
