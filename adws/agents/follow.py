"""Looks at an agent's output while it works, to end what cannot come to anything: a refused key is retried
by some for ten minutes, and by one without end and without a word."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from adws.agents import verdict
from adws.agents.record import Reader, Record
from adws.model import Agent

_PIECE = 1 << 20
"""Bytes per look; the rest waits for the next one."""


def whole(agent: Agent, log: Path) -> Record:
    """The record of an attempt that has ended; an empty one where there is no log."""
    reader = Reader(agent.format)
    with contextlib.suppress(OSError), log.open("rb") as lines:
        reader.feed(lines)
    return reader.record


class Follower:
    """Reads the log as it grows.

    `patience` is how often a request may be repeated; `meter` says which cap was passed.
    """

    def __init__(self, agent: Agent, log: Path, patience: int, meter: Callable[[Record], str]) -> None:
        self.agent, self.log, self.patience, self.meter = agent, log, patience, meter
        self.reader, self.at, self.part = Reader(agent.format), 0, b""

    def hopeless(self) -> str:
        """Why it is no use to wait for it; empty as long as it may be."""
        try:
            with self.log.open("rb") as file:
                # a log that was cut has become shorter; what it lost is not needed here
                self.at = file.seek(min(self.at, file.seek(0, 2)))
                piece = file.read(_PIECE)
        except OSError:
            return ""
        self.at += len(piece)
        *lines, self.part = (self.part + piece).split(b"\n")
        record = self.reader.feed(lines)
        return (
            verdict.refused(self.agent, record)
            or verdict.exhausted(self.agent, record, self.patience)
            or self.meter(record)
        )
