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

from tests.agents import clis
from tests.agents.server import Model, out, serving
from tests.agents.turns import Say, Turn, Use, edit, read, shell, write
from tests.conftest import BIN, TOP

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
    shares, tests, changes = (
        f"{tree}/{name}" for name in ("splitbill/shares.py", "tests/test_shares.py", "CHANGELOG.md")
    )
    files = [{"path": "splitbill/shares.py", "reasons": ["`even` drops the remainder"]}]
    split = shell("python3 -m splitbill 10.00 ann ben cleo")
    diff = "git diff $(python3 -c \"import json,os; print(json.load(open(os.environ['ADW_STATE']))['build']['base'])\")"

    def result(summary: str, **more: object) -> Use:
        return write(f"{folder}/result.json", json.dumps({"summary": summary, **more}))

    turns: list[Use] = {
        "scout": [
            shell("grep -rn even splitbill tests"),
            read(shares),
            write(f"{folder}/scout.json", json.dumps({"files": files})),
            result("shares.even drops the remainder"),
        ],
        "plan": [
            read(shares),
            split,
            write(f"{tree}/specs/{ID}.md", SPEC),
            result("hand out the cents that are left over"),
        ],
        "build": [
            read(shares),
            edit(shares, WAS, EVEN),
            read(tests),
            edit(tests, "def test_a_bill_needs_somebody_to_pay_it():", TEST),
            result("Hand out the cents that are left over"),
        ],
        "review": [shell(diff), result("the tests cover it", findings=[])],
        "document": [
            read(changes),
            edit(changes, "## [Unreleased]\n", CHANGE),
            result("the changelog says that the shares add up"),
        ],
        "repair": [
            read(shares),
            split,
            edit(shares, WRONG, RIGHT),
            split,
            result("the comparison was the wrong way round: the last ones paid more"),
        ],
    }[phase]
    return [turns[had]] if had < len(turns) else [Say("Done.")]


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
    settings = " ".join(f"{name}={value}" for name, value in clis.claude.settle(folder, url).items())
    program = folder / "bin/claude"
    program.write_text(f'#!/bin/sh\n{settings} exec "{clis.program(clis.claude)}" "$@"\n')
    program.chmod(0o755)
    return os.pathsep.join([f"{folder}/bin", str(BIN), "/usr/bin", "/bin"])


def main() -> int:
    """Make examples/recorded anew; 0 when the run has passed."""
    with tempfile.TemporaryDirectory(prefix="adws-") as name, serving(Model(script)) as url:
        folder = Path(name)
        sample = project(folder)
        env = {"PATH": install(folder, url), "HOME": name, **clis.claude.KEY}
        asked = (f"ADW_ID={ID}", "AGENT=claude", f"ISSUE={TOP / 'examples/splitbill-issue.md'}")
        done = subprocess.run([BIN / "adws", "sdlc", *asked], env=env, cwd=sample, check=False)
        if done.returncode == 0:
            shutil.rmtree(TOP / "examples/recorded", ignore_errors=True)
            shutil.copytree(folder / "examples/recorded", TOP / "examples/recorded", symlinks=True)
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
