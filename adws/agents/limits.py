"""When a vendor that said no for now is worth another try, read off its prose. Pure functions."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

_LIMIT = re.compile(
    r"\b(usage|session|weekly|daily|[0-9]-hour|your) limit\b|\bout of (extra )?usage\b|\b(?<!disk )quota\b",
    re.I,
)
_SAYS_NO = re.compile(r"\b(reached|exceeded|exhausted|hit|out of|limit is)\b", re.I)
_EPOCH = re.compile(r"\b(?:limit reached\||resets?_at\W{1,3})([0-9]{10})\b", re.I)
_IN = re.compile(r"\b(?:again|retry|retrying|resets?) (?:in|after) |\bretry-after\W{1,3}", re.I)
_SPAN = re.compile(r"[ ,]*(?:and )?([0-9]+(?:\.[0-9]+)?) ?(ms|[dhms])?[a-z]*", re.I)
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "": 1.0}
_AT = re.compile(
    r"\b(?:resets?|again)(?: at| on)? "
    r"(?:(?P<month>[a-z]{3})[a-z]* (?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,? "
    r"(?:(?P<year>20[0-9]{2}),? )?(?:at )?)?"
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))? ?(?P<half>[ap]m)?(?: \((?P<zone>[A-Za-z0-9_/+-]+)\))?",
    re.I,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def is_told(said: str) -> bool:
    """Whether a usage limit says no, which lifts at its time, however often one asks."""
    return bool(_LIMIT.search(said) and _SAYS_NO.search(said))


def resets(said: str, now: datetime) -> datetime | None:
    """When to try again, as the words tell it, in the time zone of `now`; None where they do not.

    Understood are seconds since 1970 (`limit reached|1760000000`), a span (`try again in 2 days 17 hours`,
    `retry in 2s`), and a time of the day or a date (`resets 3pm (UTC)`, `again at Sep 29th, 2026 12:55 AM`).
    A time without a zone is one of `now`'s.
    """
    if found := _EPOCH.search(said):
        return moment(int(found[1]), now)
    if found := _IN.search(said):
        return later(now, _seconds(said, found.end()))
    if (found := _AT.search(said)) and (found["half"] or found["minute"]):
        return _next(found, now)
    return None


def moment(since_1970: float, now: datetime) -> datetime | None:
    """In the time zone of `now`; None where there is no such moment, as with milliseconds."""
    try:
        return datetime.fromtimestamp(since_1970, now.tzinfo)
    except (ValueError, OverflowError, OSError):
        return None


def later(now: datetime, seconds: float) -> datetime | None:
    """None where that is beyond the end of the calendar."""
    try:
        return now + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None


def _seconds(said: str, at: int) -> float:
    total = 0.0
    while part := _SPAN.match(said, at):
        total, at = total + float(part[1]) * _UNITS[(part[2] or "").lower()], part.end()
    return total


def _next(told: re.Match[str], now: datetime) -> datetime | None:
    """The next such time, or the one on that day."""
    here = now.astimezone(_zone(told["zone"])) if told["zone"] else now
    half, hour = (told["half"] or "").lower(), int(told["hour"])
    if half and not 1 <= hour <= 12:
        return None
    at = {"hour": hour % 12 + 12 * (half == "pm") if half else hour, "minute": int(told["minute"] or 0)}
    if told["month"]:
        month = told["month"].lower()
        at |= {"month": 1 + _MONTHS.index(month) if month in _MONTHS else 0, "day": int(told["day"])}
        at |= {"year": int(told["year"] or here.year)}
    try:
        found = here.replace(**at, second=0, microsecond=0)  # type: ignore[arg-type]
        if found <= here and not told["year"]:
            found = found.replace(year=found.year + 1) if told["month"] else found + timedelta(days=1)
    except ValueError:
        return None  # there is no such time
    return found.astimezone(now.tzinfo)


def _zone(name: str) -> tzinfo | None:
    import zoneinfo  # reads files, and hardly anybody is at a limit

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None
