"""Looks at an agent's output while it works, to end what cannot come to anything: a refused key is retried
by some for ten minutes, and by one without end and without a word."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from adws.agents import verdict
from adws.agents.record import Reader, Record
from adws.model import Agent

_PIECE = 1 << 20
"""Bytes that are read at once."""
_PIECES = 16
"""As many of them per look; the rest waits for the next one."""


class Follower:
    """Reads the log as it grows.

    `patience` is how often a request may be repeated; `meter` says which cap was passed.
    """

    def __init__(self, agent: Agent, log: Path, patience: int, meter: Callable[[Record], str]) -> None:
        self.agent, self.log, self.patience, self.meter = agent, log, patience, meter
        self.reader, self.at, self.part = Reader(agent.format), 0, b""

    def hopeless(self) -> str:
        """Why it is no use to wait for it; empty as long as it may be."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            # a log that was cut has become shorter; what it lost is not needed here
            self.at = file.seek(min(self.at, file.seek(0, 2)))
            for piece in itertools.islice(iter(lambda: file.read(_PIECE), b""), _PIECES):
                self.at += len(piece)
                *lines, self.part = (self.part + piece).split(b"\n")
                self.reader.feed(lines)
        record = self.reader.record
        passed = self.meter(record)
        return (
            verdict.refused(self.agent, record)
            or verdict.exhausted(self.agent, record, self.patience)
            or ("" if record.ended else passed)
        )

    def whole(self) -> Record:
        """The record of the attempt, which has ended; an empty one where there is no log."""
        reader = Reader(self.agent.format)
        with contextlib.suppress(OSError), self.log.open("rb") as lines:
            reader.feed(lines)
        # what was cut out of the log meanwhile was used all the same
        return replace(reader.record, usage={**self.reader.record.usage, **reader.record.usage})
