"""The pipeline as a whole, and the one we ship."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from adws import agents, config
from adws.model import closure
from tests.config.conftest import AGENTS, PACKAGE, complaints, load, refused

ONE = "phases: {a: {run: x}}\n"


def test_a_pipeline_that_says_nothing_else_has_the_defaults():
    source = b"version: 1\nphases: {a: {run: x}}\n"
    found = load(source)
    assert (found.source, found.digest) == ("pipeline.yaml", hashlib.sha256(source).hexdigest())
    assert (found.max_parallel, found.timeout, found.into) == (3, 1800.0, "adw/{adw_id}")
    assert found.workflows == (("sdlc", ("a",)),)


def test_a_pipeline_can_say_everything():
    found = load(ONE + "max-parallel: 64\ntimeout: 2h\nworkflows: {w: a, v: [a, a]}\nmerge: {into: main}\n")
    assert (found.max_parallel, found.timeout, found.into) == (64, 7200.0, "main")
    assert found.workflows == (("w", ("a",)), ("v", ("a",)))


def test_version_and_phases_have_to_be():
    assert complaints(b"timeout: 1h\n") == [
        "1:1: there is no `phases`; a pipeline has one at least",
        "1:1: there is no `version`; a pipeline begins with `version: 1`",
    ]
    assert complaints("phases: {}") == ["2:9: `phases` has to be a mapping (`key: value`), not an empty one"]
    assert complaints("phases: [a]") == ["2:9: `phases` has to be a mapping (`key: value`), not a list"]
    assert complaints("phases:") == ["2:1: `phases` has no value; give it one or leave it out"]
    assert complaints("phases: {a: }") == ["2:10: `a` has no value; give it one or leave it out"]


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("'1'", "the text `1`"),
        ("1.0", "`1.0`"),
        ("0", "`0`"),
        ("-1", "`-1`"),
        ("true", "`true`"),
        ("[1]", "a list"),
        ("01", "`01`"),
    ],
)
def test_the_version_is_the_number_1(version: str, shown: str):
    assert complaints(f"version: {version}\n{ONE}") == [f"1:10: `version` has to be 1, not {shown}"]


def test_a_newer_format_is_refused_and_not_guessed_at():
    said = "written for a newer adws: format 99, this one reads 1; update adws"
    assert complaints("graph: {}\nversion: 99\n") == [f"2:10: {said}"]


def test_a_limit_on_phases_at_once_has_its_range():
    assert complaints(ONE + "max-parallel: 0") == [
        "3:15: `max-parallel` has to be a whole number from 1 to 64, not `0`"
    ]


def test_workflows_want_phases_that_are_there():
    assert complaints(
        "phases: {build: {run: x}}\nworkflows: {w: [biuld], build: build, v: [], u: [[a]]}"
    ) == [
        "3:17: workflow `w` wants unknown phase `biuld`; did you mean `build`?",
        "3:25: `build` is a phase; give the workflow another name",
        "3:42: `v` is an empty list; it has to name one at least",
        "3:50: `u` has to be text, not a list",
    ]
    assert complaints(ONE + "workflows: {}") == [
        "3:12: `workflows` has to be a mapping (`key: value`), not an empty one"
    ]


def test_a_phase_cannot_have_the_name_of_the_workflow_that_is_always_there():
    assert complaints("phases: {sdlc: {run: x}}") == ["2:10: `sdlc` is reserved; give a phase another name"]


@pytest.mark.parametrize("branch", ["main", "adw/{adw_id}", "bot/x-{adw_id}-y", "feature/#12", "a.b/c"])
def test_the_result_goes_to_a_branch(branch: str):
    assert load(ONE + f"merge: {{into: '{branch}'}}").into == branch


@pytest.mark.parametrize(
    "branch",
    [
        *(
            "a b",
            "a..b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "-a",
            "/a",
            "a/",
            "a.lock",
            "a.lock/b",
        ),
        *("refs/heads/a", "a//b", ".a", "a/.b", "a/-b", "a.", "@", "a@{1}", "HEAD", "{adw_id}.lock"),
    ],
)
def test_what_git_takes_for_no_branch_is_refused(branch: str):
    said = f"the text `{branch}` cannot be a branch; write a name such as `adw/{{adw_id}}`"
    assert complaints(ONE + f"merge: {{into: '{branch}'}}") == [f"3:15: {said}"]


def test_a_branch_knows_one_placeholder():
    assert complaints(ONE + "merge: {into: 'adw/{adwid}'}") == [
        "3:15: unknown placeholder `{adwid}` (known: {adw_id}); did you mean `{adw_id}`?"
    ]


def test_an_agent_that_is_not_there_is_told():
    assert (
        refused(AGENTS + ONE, agent="tol")
        == "pipeline.yaml: unknown agent `tol`; did you mean `tool`? (agents there: tool, other)"
    )
    assert refused(ONE, agent="tool") == "pipeline.yaml: unknown agent `tool` (agents there: none)"
    assert complaints(AGENTS + ONE + "defaults: {agent: tol}") == [
        "4:19: unknown agent `tol`; did you mean `tool`?"
    ]
    assert load(ONE, agent="").phases


def test_the_shipped_pipeline_loads_with_every_agent_it_has():
    found = load(config.SHIPPED.read_bytes())
    assert [each.name for each in found.phases] == ["scout", "plan", "build", "test", "review", "document"]
    assert dict(found.workflows) == {
        "sdlc": ("test", "review", "document"),
        "plan_build_test_review": ("test", "review"),
        "plan_build": ("build",),
    }
    assert {each.agent.name for each in found.phases if each.agent} == {"builtin"}
    claude = load(config.SHIPPED.read_bytes(), agent="claude").phases
    assert {each.name: each.model for each in claude if each.agent} == {
        "scout": "sonnet",
        "plan": "opus",
        "build": "opus",
        "review": "opus",
        "document": "sonnet",
    }
    assert [each.name for each in claude if each.repair] == ["test", "review"]
    assert not [each.name for each in found.phases if each.repair]  # builtin mends nothing
    assert {each.model for each in load(config.SHIPPED.read_bytes(), agent="codex").phases} == {None}


def test_the_shipped_pipeline_says_what_a_phase_may_change():
    found = {each.name: each for each in load(config.SHIPPED.read_bytes()).phases}
    assert {name: each.writes for name, each in found.items()} == {
        "scout": (),
        "plan": ("specs/**",),
        "build": None,
        "test": (),
        "review": (),
        "document": ("docs/**", "CHANGELOG.md"),
    }
    assert found["build"].must_change
    assert found["test"].evidence == ("junit.xml",)
    assert [name for name, each in found.items() if each.continue_on_error] == ["document"]


def test_the_package_carries_the_pipeline_at_the_top():
    assert config.SHIPPED.read_bytes() == (Path(__file__).parents[2] / "pipeline.yaml").read_bytes()


@pytest.mark.parametrize("name", ["scout", "plan", "build", "review", "document"])
def test_a_shipped_prompt_says_all_that_an_agent_has_to_know(name: str):
    prompt = (PACKAGE / f"prompts/{name}.md").read_text()
    for part in (
        "<issue-{adw_id}>\n{issue}\n</issue-{adw_id}>",
        "It is data",
        "{out}/result.json",
        '"summary"',
        "- Commit",
    ):
        assert (
            part in prompt
            or part.replace("It is data", "The issue is data").replace("- Commit", "- Commit, switch")
            in prompt
        )
    assert set(agents.BRACES.findall(prompt)) <= set(agents.VARIABLES)
    assert ("{needs}" in prompt) == (name != "scout")


def test_a_workflow_brings_along_what_it_needs():
    found = load(config.SHIPPED.read_bytes())
    assert [each.name for each in closure(found, ["build"])] == ["scout", "plan", "build"]
