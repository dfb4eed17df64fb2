"""Test files as units: what is tested in them, how much each checks, and what is skipped."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A test, or what a test file has beside its tests that checks something."""

    name: str
    own: str
    """Its name wherever it stands: without its class."""
    line: int
    is_test: bool
    checks: int
    """How many assertions and the like can be reached in it, without those that are always true."""
    skips: int
    """How many marks and calls say that it is not run, or may fail, where these tests are usually run."""
    maybe: int
    """How many say so for some other place only."""
    cases: int | None
    """How often it is run with different data; None where only running it can tell."""
    body: str
    """Its text, to know it by under another name."""

    is_idle: bool = False
    """It does nothing at all."""

    @property
    def weight(self) -> int:
        """The checks that are made when it is run with each of its cases."""
        return self.checks * (1 if self.cases is None else self.cases)


def python(text: str) -> ast.Module | None:
    """The tree of a Python text; None where it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the project's strings escape is not our concern
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
