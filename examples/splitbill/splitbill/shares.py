"""Who pays how much: from a total in cents to one share per person."""


def even(total: int, people: list[str]) -> dict[str, int]:
    """Everybody pays the same."""
    if not people:
        raise ValueError("nobody is there to pay")
    share = total // len(people)
    return {person: share for person in people}


def by_items(items: dict[str, list[int]], shared: int = 0) -> dict[str, int]:
    """Everybody pays for their own items; what was shared is split evenly."""
    common = even(shared, list(items))
    return {person: sum(own) + common[person] for person, own in items.items()}
