"""In which forms a secret is recognised, and what is left of text and of files that show it."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import tracemalloc
import urllib.parse
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adws import secrets

SECRET = 'pä$$/w+"ö\\rd~ é'
FORMS = secrets.forms([SECRET])
TOKEN = "sk-ant-api03-" + base64.urlsafe_b64encode(bytes(n * n % 251 for n in range(71))).decode()[:-1]


@pytest.mark.parametrize(
    ("shown", "left"),
    [
        (SECRET, "***"),
        (json.dumps({"key": SECRET}), '{"key": "***"}'),
        (json.dumps({"key": SECRET}, ensure_ascii=False), '{"key": "***"}'),
        ("https://me:" + urllib.parse.quote(SECRET, safe="") + "@host", "https://me:***@host"),
        (urllib.parse.quote(SECRET), "***"),
        (urllib.parse.urlencode({"a": SECRET, "b": 1}), "a=***&b=1"),
        (re.sub("%..", lambda code: code[0].lower(), urllib.parse.quote_plus(SECRET)), "***"),
        (SECRET.encode().hex(), "***"),
        (SECRET.encode().hex().upper(), "***"),
    ],
)
def test_a_secret_is_recognised(shown, left):
    assert secrets.redact(shown.encode(), FORMS).decode() == left


@given(st.text(min_size=8).map(str.strip), st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_is_recognised_inside_of_the_base64_of_a_longer_text(value, before, after):
    assume(len(value) >= secrets.SHORTEST)
    forms, raw = secrets.forms([value]), os.fsencode(value)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        left = secrets.redact(encode(before + raw + after), forms).replace(b"***", b"")
        alone = len(encode(before)) + len(encode(after))
        assert len(left) <= alone + 4  # characters that hold bits of a neighbour as well


@pytest.mark.parametrize("tool", ["base64", "base64 -w 0", "openssl base64", "xxd -p -c 0"])
@pytest.mark.parametrize("prefix", ["", "u:", "user:", '{"auths":{"ghcr.io":{"auth":"'])
def test_of_what_the_usual_tools_make_of_a_token_little_is_left(tool, prefix):
    env = {"PATH": os.environ["PATH"], "S": TOKEN}
    made = subprocess.run(
        ["sh", "-c", f"printf '{prefix}%s' \"$S\" | {tool}"], env=env, stdout=subprocess.PIPE, check=True
    ).stdout
    left = secrets.redact(made, secrets.forms([TOKEN]))
    around = 2 * len(prefix) + 4
    # a line break costs the part that it is in; and then what is left at the end is no whole part
    breaks = made.strip().count(b"\n")
    assert len(left.replace(b"***", b"")) <= around + secrets._WRAPPED * (breaks + bool(breaks))


def test_a_secret_of_several_lines_is_recognised_line_by_line():
    forms = secrets.forms(["-----BEGIN KEY-----\r\n  MIIEvQIBADANBg\nshort\nkqhkiG9w0BAQEF\n"])
    said = "read: MIIEvQIBADANBg\n> kqhkiG9w0BAQEF short"
    assert secrets.redact_text(said, forms) == "read: ***\n> *** short"


def test_what_is_too_short_is_no_secret():
    assert secrets.forms(["", "true", "1234567", " 123456 ", "1\n22"]) == ()
    assert secrets.redact(b"true", ()) == b"true"
    assert secrets.redact_text("true", ()) == "true"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_the_forms_are_distinct_long_enough_and_the_longest_is_first(values):
    forms = secrets.forms(values)
    assert len({*forms}) == len(forms)
    assert all(len(form) >= secrets.SHORTEST for form in forms)
    assert [*map(len, forms)] == sorted(map(len, forms), reverse=True)


def test_bytes_that_are_no_text_are_recognised():
    value = os.fsdecode(b"\xff\xfe pass \xfd")
    forms = secrets.forms([value])
    assert secrets.redact(b"<\xff\xfe pass \xfd>", forms) == b"<***>"
    assert secrets.redact_text(f"<\ud800{value}>", forms) == "<\ud800***>"


LETTERS = st.text("ab", min_size=1, max_size=6).map(str.encode)
WORDS = st.sets(LETTERS, min_size=1).map(lambda words: tuple(sorted(words, key=len, reverse=True)))


@given(WORDS, st.text("abc", max_size=60).map(str.encode), st.integers(1, 9))
def test_a_file_read_in_pieces_shows_the_same_as_the_whole(forms, data, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_PIECE", size)
        shown = b"".join(secrets._redacted(BytesIO(data), forms))
    assert shown == secrets.redact(data, forms)
    assert not secrets.found(shown, forms)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


S = "hunter2-hunter2"
HIDE = secrets.forms([S])


def test_in_a_folder_no_content_no_name_and_no_link_shows_a_secret(out):
    (out / f"a-{S}" / S).mkdir(parents=True)
    (out / f"a-{S}" / S / f"{S}.txt").write_text(f"one {S} two {S}\n")
    (out / S).write_text("by name")
    (out / "***").write_text("was here")
    (out / "link").symlink_to(f"/nowhere/{S}")
    os.mkfifo(out / f"pipe-{S}")
    secrets.redact_files(out, HIDE)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == [
        "***", "****", "a-***", "a-***/***", "a-***/***/***.txt", "link", "pipe-***",
    ]  # fmt: skip
    assert (out / "a-***/***/***.txt").read_text() == "one *** two ***\n"
    assert ((out / "***").read_text(), (out / "****").read_text()) == ("was here", "by name")
    assert os.readlink(out / "link") == "/nowhere/***"  # noqa: PTH115


def test_nothing_outside_of_the_folder_is_written_to(out, tmp_path):
    mine, folder = tmp_path / ".env", tmp_path / "folder"
    mine.write_text(S)
    folder.mkdir()
    (folder / "file").write_text(S)
    (out / "hard").hardlink_to(mine)
    (out / "soft").symlink_to(mine)
    (out / "folder").symlink_to(folder)
    secrets.redact_files(out, HIDE)
    assert (mine.read_text(), (folder / "file").read_text()) == (S, S)
    assert (out / "hard").read_text() == "***"


def test_a_file_keeps_its_mode_and_one_without_a_secret_is_left_alone(out):
    (out / "script").write_text(f"#!/bin/sh\necho {S}\n")
    (out / "script").chmod(0o555)
    (out / "other").write_text("echo")
    before = (out / "other").stat()
    secrets.redact_files(out, HIDE)
    assert (out / "script").read_text() == "#!/bin/sh\necho ***\n"
    assert stat.S_IMODE((out / "script").stat().st_mode) == 0o555
    assert (out / "other").stat() == before
    assert len([*out.iterdir()]) == 2


def test_a_large_file_costs_little_memory_and_hides_nothing_between_its_pieces(out):
    with (out / "large").open("wb") as file:
        for n in range(400):
            file.write(b"." * (65536 - 7 * (n % 5)) + S.encode())
    size = (out / "large").stat().st_size
    tracemalloc.start()
    secrets.redact_files(out, HIDE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    left = (out / "large").read_bytes()
    assert (left.count(b"***"), len(left)) == (400, size - 400 * (len(S) - 3))


def test_a_deep_folder_is_no_problem(out):
    deep = out.joinpath(*["d"] * 1100)
    subprocess.run(["mkdir", "-p", deep], check=True)
    (deep / "file").write_text(S)
    try:
        secrets.redact_files(out, HIDE)
        assert (deep / "file").read_text() == "***"
    finally:
        subprocess.run(["rm", "-r", out], check=True)  # too deep for pytest to clear away
