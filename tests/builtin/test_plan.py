"""plan: the issue becomes a spec, by rules and without trusting a word of it."""

from __future__ import annotations

import json

import pytest

from adws.builtin import criteria, markdown, validation

ISSUE = """# Dates with a zone

`parse_date` fails on them.

- [ ] a date with `Z` is read
- [x] others stay as they are

It should ignore the zone.

src/dates.py
<<<<<<< SEARCH
x = 1
=======
x = 2
>>>>>>> REPLACE
"""

SPEC = """# Dates with a zone

Run `local`. Made by `builtin` from the words of the issue, by fixed rules and without a language model.

## Problem

```text
{issue}```

## Acceptance criteria

- [ ] a date with `Z` is read
- [ ] others stay as they are
- [ ] It should ignore the zone.

## Files

- `src/dates.py`: edited by the issue itself
- `src/zone.py`: defines `zone`, matches: zone, date

## Steps

1. Edit `src/dates.py` as the issue spells it out (SEARCH/REPLACE).
2. Run the validation commands below.

## Validation

```sh
make test
python -m pytest
```
"""


def scouted(repo, *files: tuple[str, list[str]]) -> None:
    listed = [{"path": path, "score": 1.0, "reasons": reasons} for path, reasons in files]
    repo.write(".adws/local/scout/scout.json", json.dumps({"files": listed}))
    repo.write(".adws/local/scout/result.json", "{}")


def test_the_spec_holds_all_that_is_known(repo):
    repo.commit(**{"Makefile": "test:\n\tpytest\n", "pytest.ini": ""})
    scouted(
        repo,
        ("src/dates.py", ["named in the issue"]),
        ("src/zone.py", ["defines `zone`", "matches: zone, date"]),
    )
    assert repo.phase("plan", issue=ISSUE) == 0
    assert repo.read("specs/local.md") == SPEC.format(issue=ISSUE)
    assert json.loads(repo.read(".adws/local/plan/result.json")) == {
        "path": "specs/local.md",
        "summary": "wrote specs/local.md: 3 acceptance criteria, 1 file with edits spelled out",
    }


def test_without_edits_the_steps_are_for_whoever_builds_it(repo):
    assert repo.phase("plan", issue="# Slow start\n") == 0
    spec = repo.read("specs/local.md")
    assert "- [ ] What the title says is done: Slow start\n" in spec
    assert "## Files\n\nNone is known to matter.\n" in spec
    assert "1. Write a test that fails because of the problem.\n2. Make it pass" in spec
    assert "```sh\n# no test command was recognised\n```\n" in spec


def test_edits_that_cannot_be_read_are_the_first_step(repo):
    assert repo.phase("plan", issue="# x\n\na.py\n<<<<<<< SEARCH\nx\n") == 0
    assert "1. Mend the edits in the issue, which cannot be read: " in repo.read("specs/local.md")


@pytest.mark.parametrize("answer", ["", "[]", '{"files": 1}', '{"files": [{"path": "a"}]}', "[" * 100_000])
def test_another_agents_scout_may_leave_anything(repo, answer):
    repo.write(".adws/local/scout/scout.json", answer)
    repo.write(".adws/local/scout/result.json", "{}")
    assert repo.phase("plan", issue="# x\n") == 0
    assert "None is known to matter." in repo.read("specs/local.md")


def test_a_hostile_issue_stays_inside_its_fence(repo):
    issue = "# <b>![x](y)\x1b[31m\n\n````\n# not a heading\n```\n\u202ertl\x00\n"
    scouted(repo, ("a`b\nc.py", ["named in the issue"]))
    assert repo.phase("plan", issue=issue) == 0
    spec = repo.read("specs/local.md")
    assert spec.startswith("# \\<b>!\\[x\\](y)\\\\x1b\\[31m\n")
    assert "`````text\n# <b>![x](y)\\x1b[31m\n\n````\n# not a heading\n```\n\\u202ertl\\x00\n`````\n" in spec
    assert "- ``a`b\\nc.py``: named in the issue\n" in spec
    assert all(char.isprintable() or char == "\n" for char in spec)


def test_a_long_issue_is_quoted_in_part_and_said_so(repo):
    assert repo.phase("plan", issue="# x\n" + "y" * 100_000) == 0
    spec = repo.read("specs/local.md")
    assert "These are the first 65,536 of 100,004 characters." in spec
    assert len(spec) < 70_000


def test_nothing_is_written_through_a_symlink_out_of_the_checkout(repo, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    (repo.root / "specs").symlink_to(tmp_path / "elsewhere")
    assert repo.phase("plan", issue="# x\n") == 1
    said = "specs/local.md lies outside the checkout by way of a symlink; nothing was written"
    assert capsys.readouterr().err == f"builtin plan: {said}\n"
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_second_run_writes_the_same_bytes(repo):
    specs = []
    for _ in range(2):
        repo.phase("plan", issue=ISSUE)
        specs.append(repo.read("specs/local.md"))
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# T\n\nIt must\nwork. It works. Users expect 3.5 s.", ["It must work.", "Users expect 3.5 s."]),
        ("# T\n## Expected behaviour\n\nNo crash.\n\n## Other\n\nText.", ["No crash."]),
        ("# T\n**Expected:**\n1. one thing\n2. two", ["one thing", "two"]),
        ("# Require Python 3.12\n\nBecause.", ["What the title says is done: Require Python 3.12"]),
        ("# T\n\n```diff\n+def test_zone():\n```", ["`test_zone` passes."]),
        ("# T\n\nRun tests/test_a.py::test_zone; see test_a.py", ["`tests/test_a.py::test_zone` passes."]),
        ("# T\n\n<!-- You should fill this in -->", ["What the title says is done: T"]),
        ("# T\n- [ ] same thing\n- [ ] same thing", ["same thing"]),
        ("# T\n- [ ] # not a heading", ["\\# not a heading"]),
    ],
)
def test_acceptance_criteria(text, found):
    assert criteria.of(text) == found


def test_there_is_an_end_to_criteria():
    assert len(criteria.of("".join(f"- [ ] number {n}\n" for n in range(100)))) == 20


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"package.json": '{"scripts": {"test": "x"}}'}, ["npm test"]),
        ({"package.json": "{}", "go.mod": ""}, ["go test ./..."]),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n[tool.ruff]\n"}, ["python -m pytest", "ruff check"]),
        ({"tests/deep/test_a.py": ""}, ["python -m pytest"]),
        ({"Makefile": "tests:\n"}, []),
    ],
)
def test_validation_commands_come_from_the_files_that_configure_them(repo, files, found):
    repo.commit(**files)
    assert validation.commands(repo.root) == found


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a `b*c` d*e", "a `b*c` d\\*e"),
        ("odd ` tick", "odd \\` tick"),
        ("__x__ a_b", "\\_\\_x\\_\\_ a_b"),
        ("two\nlines\there", "two lines here"),
        ("&lt; & <", "\\&lt; & \\<"),
        ("1. x", "1\\. x"),
    ],
)
def test_prose_in_a_line_of_ours_does_nothing(text, safe):
    assert markdown.inline(text) == safe
