"""Secrets: for the phases that name them, and nowhere to be seen afterwards."""

from __future__ import annotations

import base64
import subprocess
import urllib.parse

import pytest

SECRET = "tok/en+with=odd&chars-0123456789"
FORMS = (SECRET, urllib.parse.quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()[:40])


def everything(p) -> str:
    """All that is kept of the runs: objects of the repository, files below .adws."""
    asked = ["git", "cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered"]
    found = subprocess.run(asked, cwd=p.path, capture_output=True, check=True).stdout
    files = (path.read_bytes() for path in (p.path / ".adws").rglob("*") if path.is_file())
    return b"".join([found, *files]).decode(errors="replace")


def test_only_who_names_it_gets_it(project):
    p = project("phases: {a: {run: 'echo $TOKEN ${#TOKEN}', secrets: TOKEN}, b: {run: 'echo [$TOKEN]'}}")
    p.doit("ADW_ID=x", TOKEN=SECRET)
    assert p.log("x", "a") == f"*** {len(SECRET)}\n"
    assert p.log("x", "b") == "[]\n"


def test_what_shows_it_is_redacted_everywhere(project):
    p = project(
        """phases:
  a:
    secrets: TOKEN
    run: |
      echo "plain $TOKEN"
      printf %s "$TOKEN" | base64 -w0
      printf 'user:%s' "$TOKEN" | base64 -w0 >&2
      echo "{\\"summary\\": \\"used $TOKEN\\"}" > $ADW_OUT/result.json
      echo "https://x/?t=$TOKEN" > "$ADW_OUT/$(echo $TOKEN | tr / _).txt"
      exit 1"""
    )
    printed = p.doit("ADW_ID=x", status=1, TOKEN=SECRET)
    kept = everything(p)
    assert "plain ***" in kept
    assert "used ***" in kept
    for form in FORMS:
        assert form not in printed + kept


@pytest.mark.parametrize("deed", ["echo $TOKEN > f", "printf a:%s $TOKEN | base64 -w0 > f"])
def test_a_change_that_shows_it_is_refused_and_not_kept(project, deed: str):
    p = project(f"phases: {{a: {{run: '{deed}', secrets: TOKEN}}}}")
    said = "the value of secret `TOKEN` is in its change, in f; nothing of it was kept"
    assert said in p.doit("ADW_ID=x", status=1, TOKEN=SECRET)
    assert p.git("diff", "--name-only", "main", "refs/adws/x/a") == ""
    assert not p.git("branch", "--list", "adw/x")
