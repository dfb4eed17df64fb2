"""The pipeline as doit tasks: `doit list`, `doit sdlc ADW_ID=my-run ISSUE=issue.md`, `doit -n 1 sdlc ...`."""

import sys
from collections.abc import Iterator
from typing import Any

from adws import tasks

with tasks.edge():
    SESSION = tasks.load(sys.argv[1:])

DOIT_CONFIG = SESSION.doit_config()


def task_pipeline() -> Iterator[dict[str, Any]]:
    """Every phase, the merge, every workflow."""
    yield from SESSION.graph()
