"""The list has 128 numbers, and none is forgotten."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LETTERS = {"A": (1, 44), "B": (45, 62), "C": (63, 76), "D": (77, 102), "E": (103, 120), "F": (121, 128)}
FURTHER = range(129, 175)


def test_every_number_has_a_case_and_every_case_a_number():
    """By the ids that pytest itself would run, the slow ones too."""
    here = Path(__file__).parent
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        str(here),
    ]
    said = subprocess.run(command, cwd=here.parents[1], capture_output=True, text=True, timeout=120).stdout
    ids = [
        line.partition("::")[2]
        for line in said.splitlines()
        if "::" in line and "test_all_numbers" not in line
    ]
    found = [re.findall(r"(?:^test_|\[(?:\w+-)?)([A-Fa-f])([0-9]{1,3})[-_]", each) for each in ids]
    without = [
        each
        for each, numbers in zip(ids, found, strict=True)
        if not numbers and "whatever_is_asked" not in each
    ]
    assert not without
    there = {(letter.upper(), int(number)) for numbers in found for letter, number in numbers}
    expected = {(letter, n) for letter, (first, last) in LETTERS.items() for n in range(first, last + 1)}
    assert expected <= there
    assert {n for _, n in there - expected} <= {*FURTHER}
    assert {*FURTHER} <= {n for _, n in there - expected}
