"""`python -m tests.agents.sample`: record anew what Claude Code does with the sample project, for `make replay`.

The program is the real one, the model behind it is the script below: one that makes a mistake, and mends it when the
tests have found it. To be done after each change of a prompt, of the issue or of the sample, since a recording fits these only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.agents.server import Model, Turn, out, serving, text, use
from tests.conftest import BIN, TOP

CLAUDE = TOP / ".agents/claude_agent_sdk/_bundled/claude"
ID = "cent"

WRONG = "share + 1 if i > left else share"
RIGHT = "share + 1 if i < left else share"
EVEN = f"""\
    share, left = divmod(total, len(people))
    return {{person: {WRONG} for i, person in enumerate(people)}}"""
WAS = """\
    share = total // len(people)
    return {person: share for person in people}"""
TEST = """\
def test_no_cent_is_lost():
    assert shares.even(1000, ["ann", "ben", "cleo"]) == {"ann": 334, "ben": 333, "cleo": 333}


def test_a_bill_needs_somebody_to_pay_it():"""
SPEC = """\
# The shares add up to the total

## Problem

`shares.even` (splitbill/shares.py) throws the remainder of the division away.

## Acceptance criteria

- The shares of 10.00 among three are 3.34, 3.33 and 3.33; the first ones pay one cent more.
- Where it comes out even, nothing changes. `shares.by_items` follows, since it asks `shares.even`.

## Files

- `splitbill/shares.py`: hand the remainder out.
- `tests/test_shares.py`: a test for 10.00 among three.

## Validation

    python3 -m splitbill 10.00 ann ben cleo
    pytest
"""
CHANGE = """\
## [Unreleased]

### Fixed

- The shares add up to the total: the first ones pay one cent more where it does not come out even.
"""


def script(prompt: str, had: int) -> Turn:
    """The next turn in a phase."""
    folder, phase = out(prompt), re.findall(r"# (\w+):", prompt)[0].lower()
    tree = Path(folder).parents[1] / "tree"

    def result(summary: str, **more: object) -> Turn:
        return [
            use("Write", file_path=f"{folder}/result.json", content=json.dumps({"summary": summary, **more}))
        ]

    def read(name: str) -> Turn:
        return [use("Read", file_path=f"{tree}/{name}")]

    def edit(name: str, old: str, new: str) -> Turn:
        return [use("Edit", file_path=f"{tree}/{name}", old_string=old, new_string=new)]

    def run(command: str) -> Turn:
        return [use("Bash", command=command, description="see what happens")]

    shares, tests = "splitbill/shares.py", "tests/test_shares.py"
    files = [
        {"path": shares, "reasons": ["`even` drops the remainder"]},
        {"path": tests, "reasons": ["its tests"]},
    ]
    found = [use("Write", file_path=f"{folder}/scout.json", content=json.dumps({"files": files}))]
    split = run("python3 -m splitbill 10.00 ann ben cleo")
    turns = {
        "scout": [run("grep -rn even splitbill tests"), read(shares), found, result("shares.even drops the remainder")],
        "plan": [
            read(shares),
            split,
            [use("Write", file_path=f"{tree}/specs/{ID}.md", content=SPEC)],
            result("hand out the cents that are left over"),
        ],
        "build": [
            read(shares),
            edit(shares, WAS, EVEN),
            read(tests),
            edit(tests, "def test_a_bill_needs_somebody_to_pay_it():", TEST),
            result("Hand out the cents that are left over"),
        ],
        "review": [
            run("git diff $(python3 -c \"import json,os; print(json.load(open(os.environ['ADW_STATE']))['build']['base'])\")"),
            result("the tests cover it", findings=[]),
        ],
        "document": [
            read("CHANGELOG.md"),
            edit("CHANGELOG.md", "## [Unreleased]\n", CHANGE),
            result("the changelog says that the shares add up"),
        ],
        "repair": [
            read(shares),
            split,
            edit(shares, WRONG, RIGHT),
            split,
            result("the comparison was the wrong way round: the last ones paid more"),
        ],
    }[phase]  # fmt: skip
    return turns[had] if had < len(turns) else [text("Done.")]


def project(folder: Path) -> Path:
    """The sample as a repository in the folder, with the recordings where its pipeline looks for them."""
    sample = folder / "sample"
    shutil.copytree(TOP / "examples/splitbill", sample)
    for args in (
        ("init", "--quiet", "--initial-branch", "main", "--template="),
        ("add", "--all"),
        (
            "-c",
            "user.name=sample",
            "-c",
            "user.email=sample@localhost",
            "commit",
            "--quiet",
            "-m",
            "Split a bill",
        ),
    ):
        subprocess.run(["git", "-C", str(sample), *args], check=True)
    return sample


def install(folder: Path, url: str) -> str:
    """The real program, with the script as its model; a PATH on which it is."""
    (folder / "bin").mkdir()
    quiet = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1 IS_SANDBOX=1"
    (folder / "bin/claude").write_text(f'#!/bin/sh\n{quiet} ANTHROPIC_BASE_URL={url} exec "{CLAUDE}" "$@"\n')
    (folder / "bin/claude").chmod(0o755)
    return os.pathsep.join([f"{folder}/bin", str(BIN), "/usr/bin", "/bin"])


def main() -> int:
    """Make examples/recorded anew; 0 when the run has passed."""
    with tempfile.TemporaryDirectory(prefix="adws-") as name, serving(Model(script)) as url:
        folder = Path(name)
        sample = project(folder)
        env = {"PATH": install(folder, url), "HOME": name, "ANTHROPIC_API_KEY": "sk-ant-a-dummy-key"}
        asked = (f"ADW_ID={ID}", "AGENT=claude", f"ISSUE={TOP / 'examples/splitbill-issue.md'}")
        done = subprocess.run([BIN / "adws", "sdlc", *asked], env=env, cwd=sample, check=False)
        if done.returncode == 0:
            shutil.rmtree(TOP / "examples/recorded", ignore_errors=True)
            shutil.copytree(folder / "examples/recorded", TOP / "examples/recorded", symlinks=True)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
