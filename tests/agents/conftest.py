"""The real CLIs in a user's project."""

from __future__ import annotations

import json
import os
from types import ModuleType

import pytest

from tests.agents.clis import name, program
from tests.agents.script import FILES
from tests.agents.server import Model, serving
from tests.conftest import Project


@pytest.fixture
def driven(project, request):
    """`driven(cli, model)`: a project whose agent is this real program, with this model behind it."""

    def make(cli: ModuleType, model: Model, *, agent: str = "", **defaults: object) -> Project:
        """`agent`: its entry in pipeline.yaml, where it is not to be the one that is shipped."""
        p: Project = project(issue="# double is wrong\n", **FILES)
        context = serving(model)
        url = context.__enter__()
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        top, called = p.path.parent, name(cli)
        given = {"agent": called, "timeout": "120s", "env": cli.settle(top / "home", url), **defaults}
        pipeline = f"version: 1\ninclude: sdlc.yaml\ndefaults: {json.dumps(given)}\n"
        p.write(
            "pipeline.yaml",
            pipeline + (f"agents: {{{called}: {{format: {called}, {agent}}}}}\n" if agent else ""),
        )
        for made in ("bin", "tmp"):
            (top / made).mkdir()
        (top / "bin" / called).symlink_to(program(cli))
        p.env |= {"PATH": f"{top / 'bin'}{os.pathsep}{p.env['PATH']}", "TMPDIR": str(top / "tmp"), **cli.KEY}
        return p

    return make


def told(p: Project, phase: str) -> dict[str, object]:
    """What the phase's agent told of itself."""
    found: dict[str, object] = json.loads((p.path / ".adws/runs/x/adw_state.json").read_text())[
        f"{phase}_agent"
    ]
    return found
