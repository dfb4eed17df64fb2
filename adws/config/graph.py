"""Which phase comes before which: an order, or the unknown names and the cycles that make one impossible."""

from __future__ import annotations

from collections.abc import Mapping

from adws.config.document import Node


def order(needs: Mapping[str, Mapping[str, Node]]) -> list[str]:
    """The phases in declared order, but each after those it needs; `needs` has the node that names each need.

    No recursion: a chain may be as long as a file. Of what hangs together only the first cycle is noted.
    """
    done: dict[str, None] = {}
    for start in needs:
        path = {} if start in done else {start: iter(needs[start].items())}
        sound = True
        while path:
            name = next(reversed(path))
            for need, node in path[name]:
                if need not in needs:
                    node.wrong(f"phase `{name}` needs unknown phase `{need}`", word=need, known=needs)
                elif need in path and sound:
                    names = [*path, need]
                    cycle = " -> ".join(names[names.index(need) :])
                    node.wrong(f"phase `{need}` needs itself: `{cycle}`; remove one of these needs")
                    sound = False
                elif need not in done and need not in path:
                    path[need] = iter(needs[need].items())
                    break
            else:
                done[name] = None
                del path[name]
    return list(done)
