"""The `adws` command: doit's command line on the pipeline of the repository around, and what is beside it."""

from __future__ import annotations

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # the imports are most of the time until something begins, and a KeyboardInterrupt there has a traceback;
    # once there is something to put in order, the run takes over
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))

import getopt
import importlib
import re
from collections.abc import Sequence
from typing import Any

from doit.cmd_base import Command, TaskLoader2
from doit.cmd_completion import TabCompletion
from doit.cmd_help import Help
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.cmd_run import Run
from doit.cmdparse import CmdParseError
from doit.doit_cmd import DoitMain
from doit.loader import generate_tasks

from adws import __version__, tasks
from adws.errors import UserError, suggest

_USAGE = """\
usage: adws [-n JOBS] [WORKFLOW | PHASE]... [ADW_ID=id] [ISSUE=path.md] [REPO=path] [AGENT=name]

  adws sdlc ISSUE=issue.md        a new run; its id is made and printed
  adws sdlc ADW_ID=a1b2c3d4       go on with a run: only what is missing, failed or changed
  adws sdlc --agent review=codex  another agent for this run, for one phase or for all
  adws -n 1 sdlc ISSUE=-          one phase at a time; the issue from standard input
  adws list                       the phases, the merge and the workflows
  adws help run                   all of doit's options
  adws clean --dry-run            what could be removed: merged runs, workspaces (adws clean --help)
  adws verify HEAD                whether a merged commit is what its run's records make

exit codes: 0 done, 1 a phase failed or the merge was refused, 2 an error while running,
3 the call, the pipeline, an agent or the repository cannot be used, 4 a usage limit is to be
waited for, 129, 130, 143 stopped by HUP, INT, TERM
"""
_BESIDE = {"clean": "adws.clean", "verify": "adws.verify"}
"""What doit has no part in. Each module's `main` takes the other words and returns the exit code."""


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
            with tasks.edge():  # doit would print the traceback of an exception that it does not know
                if unknown[0].startswith("-"):
                    # raises what is wrong with it, unless that is its place
                    cmd.cmdparser.parse(pos_args[pos_args.index(unknown[0]) :])
                    what = "comes too late; options stand before workflows and phases"
                    raise UserError(f"option `{unknown[0]}` {what}")
                what = f"there is no workflow or phase `{unknown[0]}` in {self.session.pipeline.source}"
                raise UserError(f"{what}{suggest(unknown[0], names) or '; adws list shows them'}")
        return found


class _Strict:
    """A command of doit that says in one line what is wrong with an option."""

    def parse_execute(self, argv: Sequence[str]) -> Any:
        try:
            return super().parse_execute(argv)  # type: ignore[misc]
        except BrokenPipeError:  # `| head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except CmdParseError as error:
            with tasks.edge():
                raise UserError(_said(error, self)) from None


def _said(error: CmdParseError, command: Command) -> str:
    cause = error.__context__
    if not isinstance(cause, getopt.GetoptError):
        return " ".join(str(error).split())
    known = [f"--{option.long}" for option in command.cmdparser.options if option.long]
    near = suggest(f"--{cause.opt}", known) if "not recognized" in cause.msg else ""
    what = re.sub(r"option (\S+) not recognized", r"unknown option `\1`", cause.msg)
    return what + (near or f"; adws help {command.get_name()} lists all options")


class _Main(DoitMain):  # type: ignore[misc]
    BIN_NAME = "adws"
    DOIT_CMDS = tuple(type(c.__name__, (_Strict, c), {}) for c in (Help, Run, List, Info, TabCompletion))


def main() -> None:
    """Run the command line and exit with its code."""
    argv = _agents([word for word in sys.argv[1:] if word])  # doit looks at each word's first letter
    if argv[:1] in (["-h"], ["--help"]):
        print(_USAGE, end="")
    elif argv[:1] == ["--version"]:
        print(f"adws {__version__}")
    else:
        with tasks.edge():
            sys.exit(_run(argv))


def _agents(argv: list[str]) -> list[str]:
    """`--agent NAME` is `AGENT=NAME`, wherever it stands; doit has no such option."""
    said = "\0".join(argv)
    return re.sub(r"(^|\0)--agent[=\0]", r"\1AGENT=", said).split("\0") if argv else argv


def _run(argv: list[str]) -> Any:
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        raise UserError("the directory you are in is gone; change into the repository") from None
    command = next((word for word in argv if "=" not in word), "")
    if command == "help" and argv[-1] in _BESIDE:
        command, argv = argv[-1], [argv[-1], "--help"]
    if command not in _BESIDE:
        return _Main(_Loader(tasks.load(argv)), config_filenames=()).run(argv)
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)
    tasks.open_standard_streams()
    argv.remove(command)
    return importlib.import_module(_BESIDE[command]).main(argv)
