"""Real bugs through the whole shipped pipeline: what mends one is merged, and nothing else ever is.

Every issue spells out its change, so what is proved here are the tool's verdicts and nobody's skill. How many
of these stories are green says nothing about how well bugs get mended: it is no figure to publish.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

import pytest

from tests.conftest import Project
from tests.stories import bugs
from tests.stories.bugs import Bug

HUMAN_EVAL = bugs.human_eval()
HUMAN_EVAL_FIX = bugs.human_eval_fix(len(HUMAN_EVAL)) if bugs.FIX_FILE.exists() else []
ALL = [*HUMAN_EVAL, *HUMAN_EVAL_FIX]
BUILD_FAILED = "FAILED build: exit 1; changed nothing, and a change is due\n"
ABSENT = pytest.param(
    None,
    marks=pytest.mark.skip(reason=f"the HumanEvalFix tasks are not at {bugs.FIX_FILE}"),
    id="HumanEvalFix",
)


def stories(*quick: str) -> pytest.MarkDecorator:
    """A story for every bug, all of them slow but those of the `quick` ids."""
    known = [pytest.param(bug, marks=[] if bug.id in quick else pytest.mark.slow, id=bug.id) for bug in ALL]
    return pytest.mark.parametrize("bug", known if HUMAN_EVAL_FIX else [*known, ABSENT])


@pytest.fixture
def broken(project: Callable[..., Project]) -> Callable[[Bug], Project]:
    """`broken(bug)`: a repository with the bug in it, and tests that show it."""

    def make(bug: Bug) -> Project:
        made = project(**{bug.path: bug.bad, bug.test_path: bug.tests})
        made.env["VIRTUAL_ENV"] = sys.prefix
        return made

    return make


def sdlc(p: Project, adw_id: str, bug: Bug, *patches: str, status: int) -> str:
    """What the whole pipeline says of an issue with these patches in it. No more than a branch may come of it."""
    names = ", ".join(f"`{name}`" for name in bug.symptoms)
    issue = [
        f"# `{bug.name}` gives wrong answers",
        f"In `{bug.test_path}` one can see it: {names}.",
        *patches,
    ]
    (p.path.parent / f"{adw_id}.md").write_text("\n\n".join(issue) + "\n")
    heads = p.git("show-ref", "--heads").splitlines()
    said = p.adws("sdlc", f"ADW_ID={adw_id}", f"ISSUE=../{adw_id}.md", status=status)
    new = [p.git("show-ref", "--heads", f"adw/{adw_id}")] if status == 0 else []
    assert p.git("show-ref", "--heads").splitlines() == sorted(
        [*new, *heads], key=lambda line: line.split()[1]
    )
    assert p.git("status", "--porcelain") == ""
    return said


@stories("HumanEval-0", "HumanEvalFix-3")
def test_a_bug_is_mended_as_the_issue_says_and_the_mended_tree_is_merged(broken, bug):
    p = broken(bug)
    said = sdlc(p, "gold", bug, spelled_out(bug, bug.path, bug.bad, bug.good), status=0)
    assert re.search(r"^merge +passed .* one commit on branch adw/gold$", said, re.MULTILINE)
    changed = p.git("diff", "--name-only", "main", "adw/gold").splitlines()
    assert changed == sorted([bug.path, "docs/changes/gold.md", "specs/gold.md"])
    p.git("clone", "--quiet", "--branch", "adw/gold", ".", "../mended")
    mended = p.path.parent / "mended"
    assert (mended / bug.path).read_text() == bug.good
    tests = p.run(sys.executable, "-m", "pytest", "-q", cwd=mended)
    assert re.search(rf"^{len(bug.test_names)} passed in ", tests, re.MULTILINE)


@stories("HumanEval-3")
def test_without_a_patch_the_build_needs_an_agent(broken, bug):
    said = sdlc(broken(bug), "bare", bug, status=1)
    why = "the issue spells out no edit; it needs an agent: AGENT=claude, or put a diff into the issue"
    assert f"{BUILD_FAILED}  | builtin build: {why}\n" in said


@stories("HumanEval-4")
def test_the_patch_of_another_bug_does_not_apply(broken, bug):
    p, other = broken(bug), ALL[(bug.number + 1) % len(ALL)]
    if bug.number % 2:
        said = sdlc(p, "other", bug, bugs.search_replace(other.path, other.bad, other.good), status=1)
        kind, why = "SEARCH/REPLACE", f"{other.path} does not exist"
    else:
        said = sdlc(p, "other", bug, bugs.diff(bug.path, other.bad, other.good), status=1)
        kind, why = "diff", rf"{bug.path}: hunk 1 of \d \(line \d+\) does not fit: "
    told = rf"  \| builtin build: edit 1 of 1 \({kind}, line \d+ of the issue\): {why}"
    assert re.search(f"{re.escape(BUILD_FAILED)}{told}", said)
    assert "\n  | nothing was changed\n" in said


@stories("HumanEval-5")
def test_a_patch_that_leaves_the_function_wrong_fails_the_tests(broken, bug):
    said = sdlc(broken(bug), "wrong", bug, spelled_out(bug, bug.path, bug.bad, bug.still_bad), status=1)
    assert f"FAILED test: {fails_tests(bug, bug.still_bad)}\n" in said
    assert re.search(r"^merge +not run +needs test$", said, re.MULTILINE)


@stories("HumanEval-6")
def test_a_patch_that_only_guts_the_tests_is_stopped(broken, bug):
    assert_gutting_is_stopped(broken(bug), bug, bug.bad, bug.number)


@stories("HumanEval-7")
def test_a_patch_that_guts_the_tests_and_leaves_the_function_wrong_is_stopped(broken, bug):
    assert_gutting_is_stopped(broken(bug), bug, bug.still_bad, bug.number // 3 + 3)


@stories()
def test_a_patch_that_guts_the_tests_is_stopped_even_where_it_mends_the_function(broken, bug):
    assert_gutting_is_stopped(broken(bug), bug, bug.good, bug.number // 5 + 5)


def assert_gutting_is_stopped(p: Project, bug: Bug, module: str, kind: int) -> None:
    gut = bugs.GUTTED[kind % len(bugs.GUTTED)]
    failing = bug.failing(module) or bug.symptoms
    tests = gut(bug, failing)
    patches = [spelled_out(bug, bug.test_path, bug.tests, tests)]
    if module != bug.bad:
        patches.append(spelled_out(bug, bug.path, bug.bad, module))
    said = sdlc(p, "gutted", bug, *patches, status=1)
    assert_review_says(p, said, bug, gut, failing)
    assert_test_says(said, bug, tests)


def assert_review_says(
    p: Project, said: str, bug: Bug, gut: Callable[..., str | None], failing: Sequence[str]
) -> None:
    every = gut not in (bugs.without_failing_tests, bugs.with_failing_tests_skipped)
    hit = bug.test_names if every else failing
    number = f"{len(hit)} test{'' if len(hit) == 1 else 's'}"
    reason = {
        bugs.without_tests: f"gone: {number}: {hit[0]}",
        bugs.without_failing_tests: f"gone: {number}: {hit[0]}",
        bugs.deleted: f"the file is gone with {number}: {hit[0]}",
        bugs.with_skip_mark: "`<module>` is skipped or may fail (test-skipped)",
        bugs.with_skip_calls: f"`{hit[0]}` is skipped or may fail (test-skipped)",
        bugs.with_failing_tests_skipped: f"`{hit[0]}` is skipped or may fail (test-skipped)",
    }.get(gut, f"`{hit[0]}` checks nothing any more; it had ")
    assert "FAILED review: exit 1; found a blocker" in said
    log = p.log("gutted", "review")
    assert re.search(rf"^builtin review: \d+ blockers? in \d changed files: {bug.test_path}:\d+: ", log, re.M)
    assert re.search(rf"^blocker: {bug.test_path}:\d+: {re.escape(reason)}", log, re.M)


def assert_test_says(said: str, bug: Bug, tests: str | None) -> None:
    """The tests alone see it only where none is left that could pass."""
    if tests is None:
        assert "FAILED test: exit 1; left no test report: junit.xml is not in ADW_OUT\n" in said
    elif "def test_" not in tests:
        assert "FAILED test: exit 1; ran no test: junit.xml shows none\n" in said
    elif "pytestmark" in tests or tests.count("pytest.") == len(bug.test_names):
        number = len(bug.test_names)
        assert f"FAILED test: exit 1; ran no test: all {number} in junit.xml are skipped\n" in said
    else:
        assert re.search(r"^test +passed ", said, re.MULTILINE)


def spelled_out(bug: Bug, path: str, old: str, new: str | None) -> str:
    """The change in the form whose turn it is."""
    form = bugs.FORMS[bug.number % len(bugs.FORMS)] if new is not None else bugs.diff
    return form(path, old, new)


def fails_tests(bug: Bug, module: str) -> str:
    failing = bug.failing(module)
    more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
    return f"exit 1; has failing tests: {failing[0]}{more}, of {len(bug.test_names)}"
