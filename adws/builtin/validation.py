"""The commands by which a repository checks itself, told from the files that configure them."""

from __future__ import annotations

import re
from pathlib import Path

NONE = "# no test command was recognised"
MARKS = (
    # (file, what stands in it, command); the first that fits for each command
    ("Makefile", r"^test\s*:", "make test"),
    ("justfile", r"^test\b.*:", "just test"),
    ("pyproject.toml", r"^\[tool\.pytest", "python -m pytest"),
    ("pytest.ini", "", "python -m pytest"),
    ("setup.cfg", r"^\[tool:pytest\]", "python -m pytest"),
    ("tox.ini", r"^\[pytest\]", "python -m pytest"),
    ("tests/**/test_*.py", "", "python -m pytest"),
    ("test_*.py", "", "python -m pytest"),
    ("package.json", r'"test"\s*:', "npm test"),
    ("go.mod", "", "go test ./..."),
    ("Cargo.toml", "", "cargo test"),
    ("pom.xml", "", "mvn test"),
    ("gradlew", "", "./gradlew test"),
    ("mix.exs", "", "mix test"),
    (".rspec", "", "bundle exec rspec"),
    ("composer.json", r'"test"\s*:', "composer test"),
    ("pyproject.toml", r"^\[tool\.ruff", "ruff check"),
    ("ruff.toml", "", "ruff check"),
    ("pyproject.toml", r"^\[tool\.mypy", "mypy"),
    ("mypy.ini", "", "mypy"),
)


def commands(root: Path) -> list[str]:
    """In the order of the table, each once."""
    return list(dict.fromkeys(command for mark, inside, command in MARKS if _found(root, mark, inside)))


def _found(root: Path, mark: str, inside: str) -> bool:
    file = next((file for file in root.glob(mark) if file.is_file()), None)
    if file is None or not inside:
        return file is not None
    try:
        return bool(re.search(inside, file.read_bytes().decode("utf-8", "replace"), re.MULTILINE))
    except OSError:
        return False
