"""The README's examples are true."""

from __future__ import annotations

import re
from pathlib import Path

from adws import config

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text()


def example() -> str:
    return re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1]  # type: ignore[index]


def test_the_pipeline_in_the_readme_is_one():
    pipeline, _ = config.load(example().encode(), name="README.md", prompt_dirs=[TOP / "adws"])
    assert [phase.name for phase in pipeline.phases[:5]] == [
        "build",
        "before",
        "test:3.11",
        "test:3.12",
        "document",
    ]
    assert "scout" in [phase.name for phase in pipeline.phases]


def test_the_readme_names_only_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z_ -]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    known = {word for line in targets for word in line.split()}
    named = set(re.findall(r"(?:^ +|`)make ([a-z-]+)", README.replace(example(), ""), re.MULTILINE))
    assert named
    assert named <= known
