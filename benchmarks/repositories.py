"""Repositories to measure on, written by `git fast-import`."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from measure import ask

MEAN = 8_000
"""Bytes of a file, on average; the sizes are lognormal."""
BRANCHES = ("one", "two", "three")


def commit(root: Path, files: dict[str, str]) -> Path:
    """A new repository with these files, checked out."""
    root.mkdir()
    ask("git", "init", "-q", "-b", "main", "--template=", cwd=root)
    for name, content in files.items():
        (root / name).write_text(content)
    ask("git", "add", "-A", cwd=root)
    ask("git", "commit", "-q", "-m", "start", cwd=root)
    return root


def generate(root: Path, count: int, files: dict[str, str]) -> Path:
    """A repository of `count` nested files and these; only these are checked out.

    Branch `near` changes 1 % of it; `one`, `two` and `three` each edit 100 other files and rename 10 more.
    """
    root.mkdir()
    ask("git", "init", "-q", "-b", "main", "--template=", cwd=root)
    settings = ("-c", "core.compression=1", "-c", "pack.compression=1")
    importer = subprocess.Popen(
        ["git", *settings, "fast-import", "--quiet", "--depth=0"], cwd=root, stdin=subprocess.PIPE
    )
    assert importer.stdin
    with importer.stdin as stream:
        for piece in _stream(random.Random(7), count, files):
            stream.write(piece)
    if importer.wait():
        raise SystemExit("git fast-import failed")
    for name, content in files.items():
        (root / name).write_text(content)
    return root


def path(number: int) -> str:
    return f"d{number % 20}/e{number // 20 % 25}/f{number // 500 % 10}/file{number}.txt"


def _stream(chance: random.Random, count: int, files: dict[str, str]) -> Iterator[bytes]:
    words = [f"{chance.randrange(1 << 30):x}" for _ in range(3_000)]
    text = "".join(
        f"{' '.join(chance.choices(words, k=chance.randint(2, 12)))}\n" for _ in range(40_000)
    ).encode()

    def body(number: int, version: str) -> bytes:
        size = min(int(chance.lognormvariate(0, 1.4) * MEAN / 2.66), 1_000_000)  # exp(1.4 ** 2 / 2) = 2.66
        start = chance.randrange(len(text) - 1_000_000)
        return b"%d %s\n%s" % (number, version.encode(), text[start : start + size])

    def file(name: str, content: bytes) -> bytes:
        return b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content)

    def begin(branch: str) -> bytes:
        start = b"" if branch == "main" else b"from refs/heads/main\n"
        who = b"committer benchmark <benchmark@localhost> 0 +0000"
        return b"commit refs/heads/%s\n%s\ndata 0\n%s" % (branch.encode(), who, start)

    yield begin("main")
    for name, content in files.items():
        yield file(name, content.encode())
    for number in range(count):
        yield file(path(number), body(number, "main"))
    yield begin("near")
    for number in range(0, count, 100):
        yield file(path(number), body(number, "near"))
    for side, branch in enumerate(BRANCHES):
        yield begin(branch)
        for number in range(1 + side, min(count, 1_100), 11):
            yield file(path(number), body(number, branch))
        for number in range(4 + side, min(count, 110), 11):
            yield f"R {path(number)} renamed/{branch}/file{number}.txt\n".encode()
