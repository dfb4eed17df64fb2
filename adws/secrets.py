"""Keeps the values of secrets out of what is kept: the forms in which they show up, and `***` instead.

A command that prints its environment, a URL or a header shows a secret, mostly by accident. Who means to get
one out finds a form that is not here: reversed, compressed, a character per line.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import tempfile
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

SHORTEST = 8
"""Characters; what is shorter (`true`, `main`, a port) also stands where it is no secret, all over a log."""
_MASK = b"***"
_WRAPPED = 12
"""Characters: such parts of base64 are forms as well, as `base64` breaks lines after 76 and openssl after 64.
What then shows is the part with the break in it, and the rest that makes no whole part."""
_UNQUOTED = ("", "/", "!'()*")
"""What is not percent-encoded: by curl, by Python's `quote`, by JavaScript's `encodeURIComponent`."""
_PIECE = 1 << 18


def forms(values: Iterable[str]) -> tuple[bytes, ...]:
    """All the bytes that give away one of the values (as `os.environ` has them), the longest first.

    Each as it is, JSON-escaped, percent-encoded, in hex, and in base64, alone or inside of a longer text; the
    same for each line of it, without the white space around. Values and lines below `SHORTEST` have none.
    """
    texts = {line.strip() for value in values for line in (value, *value.splitlines())}
    return together(_forms(text) for text in texts if len(text) >= SHORTEST)


def _forms(text: str) -> Iterator[bytes]:
    raw = os.fsencode(text)
    yield from (raw, raw.hex().encode(), raw.hex().upper().encode())
    yield from (os.fsencode(json.dumps(text, ensure_ascii=escaped)[1:-1]) for escaped in (False, True))
    for quote in (urllib.parse.quote, urllib.parse.quote_plus):
        for quoted in (quote(raw, unquoted) for unquoted in _UNQUOTED):
            yield quoted.encode()
            yield re.sub("%..", lambda code: code[0].lower(), quoted).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # bytes of the longer text that share a group of three with it
            # 6 bits per character; those that neighbours have a part in are left out
            code = encode(bytes(before) + raw)[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]
            yield code
            yield from (code[at : at + _WRAPPED] for at in range(0, len(code) - _WRAPPED + 1, _WRAPPED))


def together(found: Iterable[Iterable[bytes]]) -> tuple[bytes, ...]:
    """The forms of several, in the order of `forms`."""
    return tuple(sorted({form for forms in found for form in forms}, key=lambda form: (-len(form), form)))


def found(data: bytes, forms: Iterable[bytes]) -> bool:
    return any(form in data for form in forms)  # three times as fast as one regular expression


def redact(data: bytes, forms: tuple[bytes, ...]) -> bytes:
    """`***` for each of the forms, which stand as `forms` returns them: the longest first."""
    return _pattern(forms).sub(_MASK, data) if found(data, forms) else data


def redact_text(text: str, forms: Iterable[bytes]) -> str:
    """The same for text, whatever surrogates there are in it."""
    for form in map(os.fsdecode, forms):
        text = text.replace(form, _MASK.decode())
    return text


def redact_files(folder: Path, forms: tuple[bytes, ...]) -> None:
    """The same for all that is below the folder: contents of files, names of everything, targets of links.

    No link is followed, no pipe and no device opened. A file is replaced, never written to: what it shares
    its inode with may be elsewhere. OSError where the files cannot be read or replaced.
    """
    folders = [folder] if forms else []
    while folders:
        for path in list(folders.pop().iterdir()):
            here = _rename(path, forms)
            mode = here.lstat().st_mode
            if stat.S_ISDIR(mode):
                folders.append(here)
            elif stat.S_ISREG(mode):
                _rewrite(here, forms)
            elif stat.S_ISLNK(mode) and found(target := os.fsencode(here.readlink()), forms):
                here.unlink()
                here.symlink_to(os.fsdecode(redact(target, forms)))


def _rename(path: Path, forms: tuple[bytes, ...]) -> Path:
    name = os.fsencode(path.name)
    if not found(name, forms):
        return path
    name = redact(name, forms)
    while os.path.lexists(path.with_name(os.fsdecode(name))):
        name += b"*"
    return path.rename(path.with_name(os.fsdecode(name)))


def _rewrite(path: Path, forms: tuple[bytes, ...]) -> None:
    with path.open("rb") as file:
        if sum(map(len, _redacted(file, forms))) == file.seek(0, os.SEEK_END):  # `***` is shorter than a form
            return
        file.seek(0)
        with tempfile.TemporaryDirectory(dir=path.parent) as beside:
            new = Path(beside, "new")
            with new.open("wb") as copy:
                copy.writelines(_redacted(file, forms))
            shutil.copymode(path, new)
            new.replace(path)


def _redacted(file: BinaryIO, forms: tuple[bytes, ...]) -> Iterator[bytes]:
    """What it shows, in pieces. Where a form may begin that ends in the next piece of the file, it waits."""
    data, piece = b"", b"the first"
    while piece:
        data += (piece := file.read(_PIECE))
        end = max(len(data) - len(forms[0]) + 1, 0) if piece else len(data)
        if found(data, forms):
            matches = _pattern(forms).finditer(data)
            end = max((end, *(match.end() for match in matches if match.start() < end)))
        yield redact(data[:end], forms)
        data = data[end:]


def _pattern(forms: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return re.compile(b"|".join(map(re.escape, forms)))
