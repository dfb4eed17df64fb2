"""`python -m adws.builtin PHASE`: one phase of the embedded agent as an ordinary command."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from adws.builtin import context
from adws.errors import UNUSABLE, UserError, suggest

FAILED = 1
PHASES = {
    "scout": "rank the files that matter to the issue",
    "plan": "turn the issue into specs/<ADW_ID>.md",
    "build": "apply the edits that the issue spells out",
    "test": "run the project's own tests",
    "review": "run linters and checks over the change",
    "document": "write the change note and the API changes",
}
TAKES_ISSUE = frozenset({"scout", "plan", "build", "document"})
"""The phases that mean nothing without an issue; the others get every further argument as it is."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one phase: 0 passed, 1 failed, 3 a call that cannot be used."""
    speaker, code = "builtin", UNUSABLE
    try:
        call = _parser().parse_args(argv)
        name = _known(call.phase or "")
        speaker = f"builtin {name}"
        issue, args = _issue_argument(name, call.args) if name in TAKES_ISSUE else (None, call.args)
        ctx = context.load(name, issue=issue, needs_issue=name in TAKES_ISSUE)
        code = FAILED
        return int(importlib.import_module(f"adws.builtin.{name}").run(ctx, args))
    except UserError as error:
        print(f"{speaker}: {error}", file=sys.stderr)
        return code


def _parser() -> _Parser:
    width = max(map(len, PHASES))
    parser = _Parser(
        prog="python -m adws.builtin",
        description="One phase of the embedded agent: no network, no key, no language model.",
        epilog="phases:\n" + "\n".join(f"  {name:{width}}  {doc}" for name, doc in PHASES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("phase", metavar="PHASE", nargs="?")
    parser.add_argument("args", nargs=argparse.REMAINDER, metavar="...", help="the phase's own arguments")
    return parser


def _issue_argument(name: str, args: list[str]) -> tuple[str | None, list[str]]:
    parser = _Parser(prog=f"python -m adws.builtin {name}", description=PHASES[name])
    parser.add_argument("issue", nargs="?", help="file with the issue, - for stdin (default: $ADW_ISSUE)")
    return parser.parse_args(args).issue, []


def _known(name: str) -> str:
    if name in PHASES:
        return name
    if not name:
        raise UserError(f"which phase? (phases: {', '.join(PHASES)})")
    raise UserError(f"unknown phase `{name}`{suggest(name, PHASES)} (phases: {', '.join(PHASES)})")


if __name__ == "__main__":
    sys.exit(main())
