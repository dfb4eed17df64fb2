"""The real CLIs, a module for each: what its model is asked and answers, and how it learns where that model is.

`ASKS` is in the path of its requests. `said` is the conversation in a request, as (role, words), one `assistant` for
each turn. `may_use_tools` is false where it asks aside, for a title. `answer` is a turn as its events. `refusal` is the
body of an error. `settle` writes its settings into a home and returns its environment. `PROGRAM` is where
`make test-agents` or `make test-agents-all` puts it.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

INSTALLED = Path(__file__).parents[3] / ".agents"


def name(cli: ModuleType) -> str:
    return cli.__name__.rpartition(".")[2]


def program(cli: ModuleType) -> Path:
    return INSTALLED / name(cli) / cli.PROGRAM


def pin(cli: ModuleType) -> str:
    """The version that make asked npm for."""
    return (INSTALLED / name(cli) / "version").read_text().strip().rpartition("@")[2]
