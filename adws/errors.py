"""The one kind of error that is for the user; everything else is a bug and keeps its traceback."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNUSABLE = 3  # the call, the pipeline or the repository cannot be used

# Azure Pipelines, GitHub Actions and TeamCity take these out of the middle of a line
_CI_COMMAND = re.compile(r"##(?=\[|vso\[|teamcity\[)")


class UserError(Exception):
    """What went wrong in the user's own words: where, what, and what now.

    Raised where the fact is known and caught once, at the edge, which prints the text and exits with
    `code`. The text may have several lines when several things are wrong at once, never a traceback.
    """

    def __init__(self, message: str, *, code: int = UNUSABLE) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        # worker processes pickle, and an exception with keyword arguments does not survive it by default
        return (_rebuild, (str(self), self.code))


def _rebuild(message: str, code: int) -> UserError:
    return UserError(message, code=code)


def told(error: OSError) -> str:
    """What the system said no to, and why."""
    why = (error.strerror or str(error)).lower()
    return f"{error.filename}: {why}" if error.filename else why


def printable(text: str) -> str:
    """The text without what could steer a terminal, hide in it, or be a command to a CI system."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return _CI_COMMAND.sub("# #", plain)


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` with the known word that is nearest, for the end of a message, or nothing."""
    import difflib  # costs 5 ms, and most calls end without an error

    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
