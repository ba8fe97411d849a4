"""The normal form of route patterns, which the core knows for every framework."""

from __future__ import annotations

from . import _library

_MAX = 4096
_known: dict[tuple[str, str], str] = {}


def normal(dialect: str, pattern: str) -> str:
    """A pattern's normal form, such as "/users/{user_id}"; made once, then kept.

    `dialect` is the framework whose syntax it is, by the names of `malti_normalize_route`.
    """
    key = dialect, pattern
    known = _known.get(key)
    if known is None:
        raw = _library.encode(pattern)
        known = _library.field(_library.normalize_route, dialect.encode(), raw, len(raw))
        known = known or pattern
        # Applications have far fewer routes. If one makes them without end, memory stays bounded.
        if len(_known) >= _MAX:
            _known.clear()
        _known[key] = known
    return known
