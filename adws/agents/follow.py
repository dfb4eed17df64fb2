"""Looks at an agent's output while it works, to end what cannot come to anything: a refused key is retried
by some for ten minutes, and by one without end and without a word."""

from __future__ import annotations

from pathlib import Path

from adws.agents import record, verdict
from adws.agents.record import Record
from adws.model import Agent

_PIECE = 1 << 20
"""Bytes per look; the rest waits for the next one."""


def whole(agent: Agent, log: Path) -> Record:
    """The record of an attempt that has ended; an empty one where there is no log."""
    try:
        with log.open("rb") as lines:
            return record.read(agent.format, lines)
    except OSError:
        return Record()


class Follower:
    """Reads the log as it grows."""

    def __init__(self, agent: Agent, log: Path) -> None:
        self.agent, self.log = agent, log
        self.record, self.at, self.part = Record(), 0, b""

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
        self.record |= record.read(self.agent.format, lines)
        return verdict.refused(self.agent, self.record)
