"""plan: turn the issue into specs/<ADW_ID>.md by rules, from its words, scout's answer and the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adws.builtin import checkout, context, criteria, edits, issue, validation
from adws.builtin.markdown import code, fenced, inline
from adws.errors import UserError

LISTED = 12
"""Files of scout's that the spec repeats."""
MADE_BY = "Made by `builtin` from the words of the issue, by fixed rules and without a language model."
OURS = (
    "Write a test that fails because of the problem.",
    "Make it pass with the smallest change; begin with the first file above.",
    "Run the validation commands below.",
)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the issue tells to edit, file by file; `trouble` is why that could not be read."""

    kinds: Mapping[str, tuple[str, ...]]
    trouble: str = ""


def run(ctx: context.Context, args: Sequence[str]) -> int:
    path = f"specs/{ctx.adw_id}.md"
    orders = _orders(ctx.issue)
    found = criteria.of(ctx.issue[: issue.READ])
    checkout.write(ctx.root, path, _spec(ctx, orders, found).encode())
    summary = f"wrote {path}: {_count(found, 'acceptance criterion', 'acceptance criteria')}, "
    summary += f"{_count(orders.kinds, 'file', 'files')} with edits spelled out"
    context.write_result(ctx, summary=summary, path=path)
    print(summary)
    return 0


def _spec(ctx: context.Context, orders: Orders, found: Sequence[str]) -> str:
    sections = {
        "Problem": _problem(ctx.issue),
        "Acceptance criteria": "\n".join(f"- [ ] {line}" for line in found),
        "Files": _files(orders, _scouted(ctx.state)),
        "Steps": "\n".join(f"{n}. {step}" for n, step in enumerate(_steps(orders), 1)),
        "Validation": fenced("\n".join(validation.commands(ctx.root)) or validation.NONE, "sh"),
    }
    parts = [f"# {inline(issue.title(ctx.issue))}", f"Run {code(ctx.adw_id)}. {MADE_BY}"]
    return "\n\n".join(parts + [f"## {name}\n\n{body}" for name, body in sections.items()]) + "\n"


def _problem(text: str) -> str:
    quoted = fenced(text[: issue.READ], "text")
    if len(text) > issue.READ:
        quoted += f"\n\nThese are the first {issue.READ:,} of {len(text):,} characters."
    return quoted


def _orders(text: str) -> Orders:
    try:
        found = edits.parse(text)
    except UserError as error:
        return Orders(kinds={}, trouble=str(error))
    kinds: dict[str, tuple[str, ...]] = {}
    for edit in found:
        kinds[edit.path] = (*kinds.get(edit.path, ()), str(edit.kind))
    return Orders(kinds=kinds)


def _scouted(state: context.State) -> list[tuple[str, str]]:
    """(path, why) of the files scout named; whatever is not as scout writes it is left out."""
    out = state.get("scout", {}).get("out")
    try:
        answer = json.loads((Path(str(out)) / "scout.json").read_bytes()) if out else {}
        listed = [(str(file["path"]), ", ".join(map(str, file["reasons"]))) for file in answer["files"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    return listed[:LISTED]


def _files(orders: Orders, scouted: Sequence[tuple[str, str]]) -> str:
    lines = [f"- {code(path)}: edited by the issue itself" for path in orders.kinds]
    lines += [f"- {code(path)}: {inline(why)}" for path, why in scouted if path not in orders.kinds]
    return "\n".join(lines) or "None is known to matter."


def _steps(orders: Orders) -> Iterator[str]:
    for path, kinds in orders.kinds.items():
        times = f", {len(kinds)} edits" if len(kinds) > 1 else ""
        yield f"Edit {code(path)} as the issue spells it out ({', '.join(dict.fromkeys(kinds))}{times})."
    if orders.kinds:
        yield "Run the validation commands below."
        return
    if orders.trouble:
        yield f"Mend the edits in the issue, which cannot be read: {inline(orders.trouble)}"
    yield from OURS


def _count(things: Sequence[object] | Mapping[str, object], one: str, many: str) -> str:
    return f"{len(things)} {one if len(things) == 1 else many}"
