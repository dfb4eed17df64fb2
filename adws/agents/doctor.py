"""Is an agent fit for work: looked at before the first phase, so that nothing starts in vain."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from adws import process
from adws.model import Agent

_SECONDS = 30.0
"""How long a program may take to tell its version; a Node program on a busy machine takes two."""
_VERSION = re.compile(r"(?<![0-9.])[0-9]+\.[0-9]+(?:\.[0-9]+)?")


def is_range(said: str) -> bool:
    """Whether it is a range of versions (PEP 440)."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # 10 ms that most pipelines do not need

    try:
        return bool(SpecifierSet(said))
    except InvalidSpecifier:
        return False


def fault(agent: Agent, env: Mapping[str, str]) -> str:
    """Why the agent cannot work in this environment, in the user's words; empty where it can.

    Its program has to be there, in a version that it was tested with, with a key or a login.
    """
    program = agent.run[0]
    by_name = not {*"/{"} & {*program}  # the others are in a workspace, or come with us
    if by_name and not shutil.which(program, path=env.get("PATH")):
        return f"no program `{program}` on PATH; install it"
    if by_name and agent.tested and (said := _untested(agent, env)):
        return said
    files = [path for path in agent.login if Path(path).expanduser().exists()]
    if agent.login and not files and not any(os.environ.get(name) for name in agent.secrets):
        login = f"a login in {' or '.join(agent.login)}"
        keys = " nor ".join(agent.secrets)
        return (
            f"neither {keys} is set nor is there {login}; set one, or log in"
            if keys
            else f"there is not {login}; log in"
        )
    return ""


def _untested(agent: Agent, env: Mapping[str, str]) -> str:
    from packaging.specifiers import SpecifierSet

    program = agent.run[0]
    with tempfile.TemporaryDirectory(prefix="adws-doctor-") as folder:
        log = Path(folder) / "log"
        # on standard error some warn of other things, with numbers in them, and some tell it there
        ask = ["/bin/sh", "-c", '"$0" --version 2>err; code=$?; cat err; exit $code', program]
        outcome = process.run(ask, cwd=Path(folder), env=env, log=log, timeout=_SECONDS, grace=1.0)
        said = log.read_text(errors="replace") if log.exists() else ""
    version = _VERSION.search(said)
    if not outcome.passed or not version:
        return f"`{program} --version` tells no version ({outcome.text}); install it anew"
    if version[0] not in SpecifierSet(agent.tested, prereleases=True):
        what = f"`{program}` is version {version[0]}, and what was tested is {agent.tested}"
        return f"{what}; install one of those, or change `tested` of agent `{agent.name}`"
    return ""
