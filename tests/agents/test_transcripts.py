"""The records of real programs' recorded calls, and what speaks against each: none of their own signs is believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adws.agents import record, verdict
from adws.model import Agent

RECORDED = Path(__file__).parents[3] / "shared/data/transcripts"
FORMATS = {"claude": "claude", "qwen": "claude", "codex": "codex", "gemini": "gemini", "opencode": "opencode"}
EXPECTED = [
    [cell.strip() for cell in line.split("|")]
    for line in Path(__file__).with_name("expected.txt").read_text().splitlines()
    if not line.startswith("#")
]

pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=f"needs recorded calls in {RECORDED}")


def told(case: str) -> tuple[record.Record, str]:
    """The record, and what speaks against the attempt."""
    folder = RECORDED / case
    about = json.loads((folder / "meta.json").read_text())
    output = next((path for name in ("stdout.jsonl", "stdout.txt") if (path := folder / name).exists()), None)
    name = case.replace("stdin-open-", "").split("-")[0]
    agent = Agent(name=name, run=(), format=FORMATS.get(name, "text"))
    found = record.read(agent.format, output.read_bytes().splitlines() if output else [])
    said = verdict.fault(
        agent, found, passed=about["rc"] == 0, stopped="signal" in about, idle=not about["git_status"]
    )
    return found, said


@pytest.mark.parametrize("expected", EXPECTED, ids=[each[0] for each in EXPECTED])
def test_the_record_of_a_real_call(expected: list[str]):
    found, said = told(expected[0])
    fields = found.fields
    cost = fields["cost"]
    assert [
        expected[0],
        fields["model"] or "-",
        str(fields["turns"] or "-"),
        "/".join(str(fields[f"tokens_{name}"]) for name in ("in", "cached", "out")),
        "-" if cost is None else str(round(cost, 6)),
        " ".join(fields["denials"]) or "-",
        str(fields["retries"]),
        str(fields["status"] or "-"),
        fields["text"][:31].strip().replace("\n", " ") or "-",
        said[:60].strip() or "-",
    ] == expected


def test_every_recorded_call_is_here():
    there = {path.parent.name for path in RECORDED.glob("*/meta.json")}
    assert there == {each[0] for each in EXPECTED}
