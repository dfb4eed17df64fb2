"""document: the change note, in CHANGELOG.md or docs/changes/<ADW_ID>.md, with the changes of the API."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from adws.builtin import api, changelog, changes, checkout, context, issue
from adws.builtin.markdown import code, inline

CHANGELOG = "CHANGELOG.md"
BEFORE = ("scout", "plan", "build")
"""Whose start may be the run's start, the earliest first."""
SHORT, LONG = 10, 200
"""Files or names listed in a changelog's entry, and in a note of its own."""


def run(ctx: context.Context, args: Sequence[str]) -> int:
    note, spec = f"docs/changes/{ctx.adw_id}.md", f"specs/{ctx.adw_id}.md"
    ours = (note, spec, CHANGELOG)
    since = _start(ctx, ours)
    files = changes.of_files(ctx.root, since, but=ours) if since else []
    names = changes.of_api(ctx.root, since) if since else []
    path = _written(ctx, note, files, names)
    breaking = sum(name.breaking for name in names)
    summary = f"wrote {path}: files changed: {len(files)}, API changes: {len(names)} ({breaking} breaking)"
    listed = [dataclasses.asdict(name) for name in names]
    context.write_result(ctx, summary=summary, path=path, api_changes=listed)
    print(summary)
    return 0


def _start(ctx: context.Context, ours: Sequence[str]) -> str | None:
    """The commit before the run's first change. By hand: the last commit, or the one before it."""
    for phase in BEFORE:
        base = ctx.state.get(phase, {}).get("base")
        if base and (found := changes.commit(ctx.root, str(base))):
            return found
    head = changes.commit(ctx.root, "HEAD")
    if head and changes.of_files(ctx.root, head, but=ours):
        return head
    return changes.commit(ctx.root, "HEAD~1")


def _written(
    ctx: context.Context, note: str, files: Sequence[changes.FileChange], names: Sequence[api.Change]
) -> str:
    """The path of the file that holds the note now."""
    title = issue.title(ctx.issue)
    file = ctx.root / CHANGELOG
    if file.is_file() and not file.is_symlink():
        text = file.read_bytes().decode("utf-8", "surrogateescape")
        entry = [f"- {inline(title)}", *(f"  - {line}" for line in _lines(files, names))]
        new = changelog.insert(text, entry, changelog.kind(title))
        if new is not None:
            if new != text:
                checkout.write(ctx.root, CHANGELOG, new.encode("utf-8", "surrogateescape"))
            return CHANGELOG
    checkout.write(ctx.root, note, _note(ctx, title, files, names).encode())
    return note


def _note(
    ctx: context.Context, title: str, files: Sequence[changes.FileChange], names: Sequence[api.Change]
) -> str:
    parts = [f"# {inline(title)}", f"Run {code(ctx.adw_id)}. Made by `builtin` from the change itself."]
    parts += ["## Files", "\n".join(f"- {_file(file)}" for file in files[:LONG]) or "No file changed."]
    if names:
        lines = [("**Breaking:** " if name.breaking else "") + _name(name) for name in names[:LONG]]
        parts += ["## API", "\n".join(f"- {line}" for line in lines)]
    return "\n\n".join(parts) + "\n"


def _lines(files: Sequence[changes.FileChange], names: Sequence[api.Change]) -> Iterator[str]:
    """What an entry of the changelog says below its title."""
    if files:
        yield "Files: " + _some([_file(file) for file in files], ", ")
    breaking = [_name(name) for name in names if name.breaking]
    if breaking:
        yield "**Breaking:** " + _some(breaking, "; ")
    others = [_name(name) for name in names if not name.breaking]
    if others:
        yield "API: " + _some(others, "; ")


def _some(words: Sequence[str], between: str) -> str:
    more = [f"and {len(words) - SHORT} more"] if len(words) > SHORT else []
    return between.join([*words[:SHORT], *more])


def _file(file: changes.FileChange) -> str:
    counts = "binary" if file.added is None else f"+{file.added} -{file.removed}"
    return f"{code(file.path)} ({counts})"


def _name(name: api.Change) -> str:
    texts = " to ".join(code(text) for text in (name.before, name.after) if text)
    return f"{name.change} {texts}"
