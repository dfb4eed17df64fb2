"""docs/pipeline.md is about the format that there is."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pytest

from adws import config
from adws.config import phases, workers
from tests.config.conftest import PACKAGE, load

REFERENCE = (Path(__file__).parents[2] / "docs/pipeline.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)


def test_the_examples_of_the_guide_to_agents_load():
    text = (Path(__file__).parents[2] / "docs/agents.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert load(example, folders=(PACKAGE,)).phases


def section(title: str) -> str:
    return REFERENCE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("Top level", config.TOP),
        ("Agents", workers.AGENT),
        ("Defaults", phases.DEFAULTS),
        ("Phases", phases.PHASE),
    ],
)
def test_every_key_has_its_line_and_no_other_has_one(title: str, keys: Collection[str]):
    lines = [line for line in section(title).splitlines() if line.startswith("- ")]
    heads = [re.sub(r"\(.*?\)", "", line).partition(":")[0] for line in lines]
    assert sorted(re.findall("`(.*?)`", " ".join(heads))) == sorted(keys)


def test_every_example_loads():
    assert len(EXAMPLES) == 7
    for example in EXAMPLES:
        assert load(example, folders=(PACKAGE,)).phases


def test_the_example_with_the_shipped_pipeline_changes_only_what_it_says():
    (found, *_) = [
        load(example) for example in EXAMPLES if "phases:\n  test: {needs" in example and "include" in example
    ]
    shipped = load(config.SHIPPED.read_bytes())
    assert [each.name for each in found.phases] == [each.name for each in shipped.phases]
    test, before = (next(each for each in p.phases if each.name == "test") for p in (found, shipped))
    assert (test.run, test.inputs, test.writes) == ("make test", before.inputs, ())


def test_every_link_of_the_reference_leads_somewhere():
    titles = re.findall("^##+ (.*)$", REFERENCE, re.MULTILINE)
    anchors = {re.sub("[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#(.*?)\)", REFERENCE)) <= anchors
