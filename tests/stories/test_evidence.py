"""Evidence attacked: every way to look green without being it has its own words."""

from __future__ import annotations

import json

import pytest

GREEN = "<testsuite><testcase name='{}'/></testsuite>"


def report(*cases: str) -> str:
    """A shell command that writes a report with these cases, each perhaps with what is inside of it."""
    inner = "".join(
        f"<testcase classname='t' name='{name}'>{inside}</testcase>"
        for name, _, inside in (c.partition("=") for c in cases)
    )
    return f'echo "<testsuite>{inner}</testsuite>" > $ADW_OUT/junit.xml'


def test_a_report_from_before_the_attempt_is_no_evidence(project):
    p = project("phases: {a: {run: 'cp -p old.xml $ADW_OUT/junit.xml; touch -d yesterday $ADW_OUT/junit.xml', evidence: junit.xml}}",
                **{"old.xml": GREEN.format("a")})  # fmt: skip
    assert "left an old test report: junit.xml was written before this attempt began" in p.doit(
        "ADW_ID=x", status=1
    )


BEFORE_AND_AFTER = [
    (["a", "b"], ["a"], "does not run what passed before the change: t::b"),
    (["a", "b", "c"], ["a"], "does not run what passed before the change: t::b and 1 more"),
    (["a", "b"], ["a", "b=<skipped/>"], "skips what passed before the change: t::b"),
    (["a", "b"], ["a", "c"], "does not run what passed before the change: t::b"),
    (["a", "a"], ["a"], "skips what passed before the change: t::a"),
    (["a", "b=<failure/>"], ["a"], ""),
    (["a", "b=<skipped/>"], ["a"], ""),
    (["a"], ["a", "b"], ""),
]


def test_a_test_that_passed_before_has_to_pass_after(project):
    phases = [
        f"  before{number}: {{run: {json.dumps(report(*before))}}}\n"
        f"  test{number}: {{needs: before{number}, run: {json.dumps(report(*after))}, evidence: junit.xml, "
        f"baseline: before{number}}}\n"
        for number, (before, after, _) in enumerate(BEFORE_AND_AFTER)
    ]
    printed = project(f"phases:\n{''.join(phases)}").doit("ADW_ID=x", status=1)
    for number, (before, after, said) in enumerate(BEFORE_AND_AFTER):
        verdict = f"FAILED test{number}: {said}" if said else f"test{number}: passed"
        assert verdict in printed, (before, after)


def test_a_baseline_that_left_nothing_is_told(project):
    p = project(
        f"""phases:
  before: {{run: 'true'}}
  test: {{needs: before, run: {json.dumps(report("a"))}, evidence: junit.xml, baseline: before}}"""
    )
    said = "has nothing to be compared with: its `baseline` left no readable junit.xml"
    assert said in p.doit("ADW_ID=x", status=1)


FIX = "echo fixed > code"


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (f"{FIX}; mkdir tests; echo 'grep fixed code' > tests/it", ""),
        ("mkdir tests; echo 'grep fixed code' > tests/it", "`proves` does not pass after its change: exit 1"),
        (f"{FIX}; mkdir tests; echo 'true' > tests/it", "`proves` passes before its change as well, so it proves nothing"),
        (f"{FIX}; mkdir tests; echo 'grep -q fixed code || nonesuch' > tests/it", "`proves` could not be run before its change: exit 127"),
    ],
)  # fmt: skip
def test_a_fix_is_red_before_and_green_after(project, work: str, said: str):
    p = project(f'phases: {{a: {{run: "{work}", proves: sh tests/it}}}}', code="broken\n")
    printed = p.doit("ADW_ID=x", status=1 if said else 0)
    assert said in printed
    assert bool(p.git("branch", "--list", "adw/x")) is not bool(said)


AWAY = [
        ("ln -s /etc/passwd p", "left a link out of the repository: p; link to a relative path inside"),
        ("mkdir d; ln -s ../../x d/p", "left a link out of the repository: d/p; link to a relative path inside"),
        ("ln -s .git/config p", "left a link out of the repository: p; link to a relative path inside"),
        ("truncate -s 101M p", "left p of more than 100 MiB; put it into ADW_OUT, or name it in `writes`"),
        ("git init -q n; git -C n -c user.name=a -c user.email=a commit -q --allow-empty -m x", "left a git repository in n; its files would be lost: remove its .git"),
        ("git init -q n; touch n/f", "left what cannot be captured: "),
        ("git mv README.md keep", "changed README.md and 1 more, outside its `writes`"),
        ("chmod +x README.md", "changed README.md, outside its `writes`"),
        ("rm README.md; ln -s docs README.md", "changed README.md, outside its `writes`"),
        ("touch PIPELINE.yaml", "changed PIPELINE.yaml, outside its `writes`"),
    ]  # fmt: skip


def test_a_change_that_leads_away_is_refused(project):
    phases = [
        f"  p{number}: {{run: \"{work}\", writes: ['?', d/**, n/**]}}\n"
        for number, (work, _) in enumerate(AWAY)
    ]
    printed = project(f"phases:\n{''.join(phases)}").doit("ADW_ID=x", status=1)
    for number, (work, said) in enumerate(AWAY):
        assert f"p{number}: failed: {said}" in printed, work


def test_a_link_inside_and_a_large_file_that_is_named_are_taken(project):
    p = project(
        "phases: {a: {run: 'mkdir d; ln -s ../README.md d/l; truncate -s 101M big', writes: ['d/**', big]}}"
    )
    p.doit("ADW_ID=x")
    assert p.git("ls-tree", "-r", "--name-only", "adw/x").splitlines() == [
        "README.md",
        "big",
        "d/l",
        "dodo.py",
        "pipeline.yaml",
    ]
