"""The README's examples are true."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from adws import config
from tests.agents import sample
from tests.conftest import Project

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


def test_what_an_agent_did_is_what_its_recording_does(tmp_path: Path):
    shutil.copytree(TOP / "examples/recorded", tmp_path / "examples/recorded", symlinks=True)
    made = sample.project(tmp_path)
    p = Project(made, tmp_path)
    issue = f"ISSUE={TOP / 'examples/splitbill-issue.md'}"
    p.adws("sdlc", f"ADW_ID={sample.ID}", "AGENT=replay", issue)
    told = p.git("log", "-1", "--format=%B", f"adw/{sample.ID}").partition("\n\nAdws-")[0]
    shown = re.search(r"--format=%B adw/cent\n(.*?)```", README, re.DOTALL)[1]  # type: ignore[index]
    seconds = re.compile(r" in [0-9.]+ s")
    assert seconds.sub("", told).strip() == seconds.sub("", shown).strip()


def test_the_readme_names_only_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z_ -]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    known = {word for line in targets for word in line.split()}
    named = set(re.findall(r"(?:^ +|`)make ([a-z-]+)", README.replace(example(), ""), re.MULTILINE))
    assert named
    assert named <= known
