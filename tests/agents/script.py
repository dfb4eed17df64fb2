"""What a good agent does in each phase of the shipped pipeline, turn by turn."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.agents.server import out
from tests.agents.turns import Say, Turn, edit, read, shell, write

FILES = {
    "twice.py": "def double(x):\n    return x\n",
    "test_twice.py": "from twice import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
}
"""The project that it mends."""


def diligent(prompt: str, had: int) -> Turn:
    folder = out(prompt)
    tree, phase = Path(folder).parents[1] / "tree", re.findall(r"# (\w+):", prompt)[0].lower()
    result = write(f"{folder}/result.json", json.dumps({"summary": f"did {phase}", "findings": []}))
    turns = {
        "scout": [[write(f"{folder}/scout.json", json.dumps({"files": []}))], [result]],
        "plan": [[write(f"{tree}/specs/x.md", "# Double it")], [result]],
        "build": [
            [Say("Let me look."), read(f"{tree}/twice.py")],
            [edit(f"{tree}/twice.py", "    return x", "    return 2 * x")],
            [shell("python3 -c 'import twice; assert twice.double(2) == 4'")],
            [result],
        ],
        "document": [[shell(f"mkdir -p {tree}/docs && echo doubles > {tree}/docs/twice.md")], [result]],
    }.get(phase, [[result]])
    return turns[had] if had < len(turns) else [Say("Done, and all is well.")]
