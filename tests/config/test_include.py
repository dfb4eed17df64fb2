"""A pipeline in several files: what comes from where, who wins, and whose problem it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from adws import config
from tests.config.conftest import PACKAGE, complaints, load, refused

ONE = "phases: {a: {run: x}}\n"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return tmp_path


def write(repo: Path, **files: str) -> tuple[Path, ...]:
    """Files by their name without `.yaml`, each of version 1; and the folders to search."""
    for name, text in files.items():
        (repo / f"{name}.yaml").write_text(f"version: 1\n{text}\n")
    return repo, PACKAGE


def test_the_shipped_pipeline_can_be_included_and_a_phase_replaced():
    found = load("include: sdlc.yaml\nphases: {test: {needs: build, run: make test}}")
    assert [each.name for each in found.phases] == ["scout", "plan", "build", "test", "review", "document"]
    test = next(each for each in found.phases if each.name == "test")
    assert (test.run, test.evidence, test.writes) == ("make test", (), None)
    assert found.workflows == load(config.SHIPPED.read_bytes()).workflows
    assert load("include: sdlc.yaml").phases == load(config.SHIPPED.read_bytes()).phases


def test_the_first_who_says_something_wins_entry_by_entry_and_key_by_key(repo: Path):
    folders = write(
        repo,
        b="agents: {x: {run: [b], model: m}, y: {run: [b]}}\ndefaults: {timeout: 1m, retries: 1}\n"
        "phases: {p: {run: b, retries: 5}, q: {run: b}, r: {run: b, needs: s}}\n"
        "workflows: {w: p, v: [q, s]}\ntimeout: 1h\nmax-parallel: 5",
        c="agents: {y: {run: [c]}, z: {run: [c]}}\ndefaults: {retries: 2, copy: .env}\n"
        "phases: {q: {run: c}, s: {run: c}}\nworkflows: {v: s, u: s}\ntimeout: 2h\nmerge: {into: main}",
    )
    found = load(
        "include: [b.yaml, c.yaml]\nagents: {x: {run: [a]}}\ndefaults: {timeout: 9m}\nmax-parallel: 9\n"
        "phases: {o: {prompt: prompts/scout.md, agent: x}, t: {prompt: prompts/scout.md, agent: y}, p: {run: a}}\n"
        "workflows: {w: t}",
        folders=folders,
    )
    phases = {each.name: each for each in found.phases}
    assert list(phases) == ["o", "t", "p", "q", "s", "r"]
    assert [phases[name].run for name in "pqrs"] == ["a", "b", "b", "c"]
    assert phases["p"].retries == 1
    assert {(each.timeout, each.copy) for each in found.phases} == {(540.0, (".env",))}
    assert [(each.agent and each.agent.run, each.model) for each in (phases["o"], phases["t"])] == [
        (("a",), None),
        (("b",), None),
    ]
    assert found.workflows == (("w", ("t",)), ("v", ("q", "s")), ("u", ("s",)))
    assert (found.max_parallel, found.timeout, found.into) == (9, 3600.0, "main")


def test_a_file_is_searched_in_the_repository_first(repo: Path):
    folders = write(repo, sdlc=ONE)
    assert [each.name for each in load("include: sdlc.yaml", folders=folders).phases] == ["a"]


def test_an_included_file_need_not_be_whole(repo: Path):
    folders = write(repo, b="timeout: 1h", c="agents: {x: {run: [y]}}")
    assert load("include: [b.yaml, c.yaml]\n" + ONE, folders=folders).timeout == 3600.0
    assert complaints("include: [b.yaml, c.yaml]", folders=folders) == [
        "1:1: there is no `phases`; a pipeline has one at least"
    ]


def test_the_record_and_the_digest_are_of_all_files(repo: Path):
    folders = write(repo, b="timeout: 1h", c="max-parallel: 2")
    source = b"version: 1\ninclude: [c.yaml, b.yaml]\nphases: {a: {run: x}}"
    found, record = config.load(source, name="pipeline.yaml", prompt_dirs=folders)
    assert record == source + (
        b"\n# include: c.yaml\nversion: 1\nmax-parallel: 2\n\n# include: b.yaml\nversion: 1\ntimeout: 1h\n"
    )
    assert found.digest == hashlib.sha256(record).hexdigest()
    alone = b"version: 1\n" + ONE.encode()
    assert config.load(alone, name="pipeline.yaml", prompt_dirs=folders)[1] == alone


def test_no_phase_may_change_what_is_included_from_the_repository(repo: Path):
    (repo / "ci").mkdir()
    folders = write(repo, **{"ci/b": "phases: {b: {run: x, frozen: [t]}}", "c[1]!": "timeout: 1h"})
    text = "include: [ci/b.yaml, sdlc.yaml, 'c[1]!.yaml']\nphases: {a: {run: x, matrix: {v: [1, 2]}}}"
    found = {each.name: each.frozen for each in load(text, folders=folders).phases}
    assert found["a:1"] == found["a:2"] == found["scout"] == ("ci/b.yaml", "c\\[1]\\!.yaml")
    assert found["b"] == ("t", "ci/b.yaml", "c\\[1]\\!.yaml")


def test_every_problem_is_told_under_the_name_of_its_file_the_own_first(repo: Path):
    folders = write(
        repo,
        b="phases: {b: {run: x, need: a}}\ndefaults: {agent: z}",
        c="max-parallel: 0\nagents: {a: {run: x}}\nworkflows: {w: d}",
    )
    text = "version: 1\ninclude: [b.yaml, c.yaml]\nmax-parallel: 1\nphases: {a: {run: x, needs: d}}\n"
    assert refused(text, folders=folders) == (
        "pipeline.yaml:4:29: phase `a` needs unknown phase `d`\n"
        "      4 | phases: {a: {run: x, needs: d}}\n"
        "        |                             ^\n"
        "b.yaml:2:22: unknown key `need` in phase `b`; did you mean `needs`?\n"
        "      2 | phases: {b: {run: x, need: a}}\n"
        "        |                      ^\n"
        "b.yaml:3:19: unknown agent `z`\n"
        "      3 | defaults: {agent: z}\n"
        "        |                   ^\n"
        "c.yaml:2:15: `max-parallel` has to be a whole number from 1 to 64, not `0`\n"
        "      2 | max-parallel: 0\n"
        "        |               ^\n"
        "c.yaml:3:19: `run` has to be a list that begins with a program, not `x`\n"
        "      3 | agents: {a: {run: x}}\n"
        "        |                   ^\n"
        "c.yaml:4:16: workflow `w` wants unknown phase `d`\n"
        "      4 | workflows: {w: d}\n"
        "        |                ^"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("timeout: 1h", "b.yaml:1:1: there is no `version`; a pipeline begins with `version: 1`"),
        ("version: 2", "b.yaml:1:10: written for a newer adws: format 2, this one reads 1; update adws"),
        (
            "version: 1\ninclude: c.yaml",
            "b.yaml:2:10: an included file cannot `include`; name all files in the pipeline itself",
        ),
        ("version: 1\nphases: [a]", "b.yaml:2:9: `phases` has to be a mapping (`key: value`), not a list"),
        ("- a", "b.yaml:1:1: a pipeline has to be a mapping (`key: value`), not a list"),
        ("version: 1\na: [b", "b.yaml:2:4: this bracket is not closed, or a `,` is missing in it"),
        ("", "b.yaml: empty; a pipeline begins with `version: 1`"),
        ("version: 1\ngraph: x", "b.yaml:2:1: unknown key `graph` in a pipeline"),
    ],
)
def test_an_included_file_is_a_pipeline_that_includes_nothing(repo: Path, content: str, said: str):
    (repo / "b.yaml").write_text(content)
    assert complaints("include: b.yaml\n" + ONE, folders=(repo,)) == [said]


@pytest.mark.parametrize("name", ["b.yaml", "../b.yaml", "/etc/passwd", ".", "b.yaml/", "c.yaml/", ".git/c.yaml"])  # fmt: skip
def test_a_file_that_is_not_there_is_told(repo: Path, name: str):
    folders = write(repo, c="timeout: 1h")
    said = f"2:10: there is no file `{name}` in {repo} or {PACKAGE}"
    assert complaints(f"include: {name}\n" + ONE, folders=folders) == [said]


def test_a_file_that_cannot_be_read_is_told(repo: Path):
    (repo / "b.yaml").write_bytes(b"caf\xe9")
    said = "2:10: file `b.yaml` is not UTF-8 at byte 3; save it as UTF-8"
    assert complaints("include: b.yaml\n" + ONE, folders=(repo,)) == [said]


def test_a_file_is_part_of_a_pipeline_once(repo: Path):
    folders = write(repo, b="timeout: 1h", pipeline=ONE)
    assert complaints("include: [b.yaml, pipeline.yaml, b.yaml]\n" + ONE, folders=folders) == [
        "2:19: `pipeline.yaml` is part of this pipeline already; remove it here",
        "2:34: `b.yaml` is part of this pipeline already; remove it here",
    ]


def test_include_is_one_path_or_a_list():
    assert load("include: []\n" + ONE).phases
    assert complaints("include: {a: b}\n" + ONE) == ["2:10: `include` has to be text, not a mapping"]
    assert complaints("include: [~]\n" + ONE) == ["2:11: `include` has to be text, not nothing"]
    assert complaints("include:\n" + ONE) == ["2:1: `include` has no value; give it one or leave it out"]


def test_what_replaces_an_entry_replaces_it_whole_even_by_nothing(repo: Path):
    folders = write(repo, b=ONE)
    assert complaints("include: b.yaml\nphases: {a: }", folders=folders) == [
        "3:10: `a` has no value; give it one or leave it out"
    ]
