"""Pipelines as text, and what is said about them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adws import config
from adws.errors import UNUSABLE, UserError
from adws.model import Phase, Pipeline

PACKAGE = config.SHIPPED.parent
AGENTS = "agents: {tool: {run: [tool]}, other: {run: [other, '{model}'], model: small}}\n"


def load(text: str | bytes, *, folders: tuple[Path, ...] = (PACKAGE,), agent: str = "") -> Pipeline:
    """The pipeline; text without a version is given one."""
    source = text if isinstance(text, bytes) else text.encode()
    if isinstance(text, str) and "version" not in text:
        source = b"version: 1\n" + source
    return config.load(source, name="pipeline.yaml", prompt_dirs=folders, agent=agent)[0]


def phase(fields: str, *, more: str = "") -> Phase:
    """The one phase of a pipeline, from its fields."""
    return load(f"{more}\nphases: {{a: {{{fields}}}}}").phases[0]


def refused(text: str | bytes, **options: object) -> str:
    """All that is said about a pipeline that is refused."""
    with pytest.raises(UserError) as caught:
        load(text, **options)  # type: ignore[arg-type]
    assert caught.value.code == UNUSABLE
    return str(caught.value)


def complaints(text: str | bytes, **options: object) -> list[str]:
    """The messages alone, as `line:column: what`, without the lines they show."""
    said = refused(text, **options).splitlines()
    return [line.removeprefix("pipeline.yaml:") for line in said if not re.match(" *[0-9]* [|]", line)]


def complaint(fields: str, *, more: str = "") -> str:
    """The one message about a phase with these fields, without its place."""
    (said,) = complaints(f"version: 1\n{more}\nphases: {{a: {{{fields}}}}}")
    return said.split(": ", 1)[1]
