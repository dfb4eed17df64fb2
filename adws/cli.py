"""The `adws` command: doit's command line on the pipeline of the repository one stands in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from doit.cmd_base import TaskLoader2
from doit.cmd_completion import TabCompletion
from doit.cmd_help import Help
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.cmd_run import Run
from doit.doit_cmd import DoitMain
from doit.loader import generate_tasks

from adws import __version__, tasks
from adws.errors import UserError, suggest

_USAGE = """\
usage: adws [-n JOBS] [WORKFLOW | PHASE]... [ADW_ID=id] [ISSUE=path.md] [REPO=path] [AGENT=name]

  adws sdlc ISSUE=issue.md        a new run; its id is made and printed
  adws sdlc ADW_ID=a1b2c3d4       go on with a run: only what is missing, failed or changed
  adws -n 1 sdlc ISSUE=-          one phase at a time; the issue from standard input
  adws list                       the phases, the merge and the workflows
  adws help run                   all of doit's options

exit codes: 0 done, 1 a phase failed or the merge was refused, 2 an error while running,
3 the call, the pipeline or the repository cannot be used, 129, 130, 143 stopped by HUP, INT, TERM
"""


class _Loader(TaskLoader2):  # type: ignore[misc]
    """Hands doit the tasks of the session; there is no dodo.py to look for."""

    def __init__(self, session: tasks.Session) -> None:
        super().__init__()
        self.session = session

    def load_doit_config(self) -> dict[str, Any]:
        return self.session.doit_config()

    def load_tasks(self, cmd: Any, pos_args: Sequence[str]) -> list[Any]:
        found: list[Any] = generate_tasks("adws", self.session.graph())
        names = [task.name for task in found]
        unknown = [word for word in pos_args if word not in names and "*" not in word]
        if unknown and cmd.get_name() in ("run", "list", "info"):
            what = f"there is no workflow or phase `{unknown[0]}` in {self.session.pipeline.source}"
            with tasks.edge():  # doit would print the traceback of an exception that it does not know
                raise UserError(f"{what}{suggest(unknown[0], names) or '; adws list shows them'}")
        return found


class _Main(DoitMain):  # type: ignore[misc]
    BIN_NAME = "adws"
    DOIT_CMDS = (Help, Run, List, Info, TabCompletion)


def main() -> None:
    """Run the command line and exit with its code."""
    argv = [word for word in sys.argv[1:] if word]  # doit looks at each word's first letter
    if argv[:1] in (["-h"], ["--help"]):
        print(_USAGE, end="")
    elif argv[:1] == ["--version"]:
        print(f"adws {__version__}")
    else:
        with tasks.edge():
            session = tasks.load(argv)
        sys.exit(_Main(_Loader(session), config_filenames=()).run(argv))
