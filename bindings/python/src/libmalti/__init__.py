"""Telemetry for Malti: one record per HTTP request, delivered by a native library.

    from libmalti.asgi import MaltiMiddleware
    app.add_middleware(MaltiMiddleware)

Settings are `MALTI_*` variables, or keywords of `init()`. Importing makes sure that the library is
there and does nothing else; what is used first loads it, and the first record starts the thread
that sends. Times are in seconds unless a name says otherwise.
"""

from __future__ import annotations

from . import _forks, _place

# typing has this too, and takes longer to import than all that is imported here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._context import set_consumer, set_context, set_endpoint
    from ._flush import aflush, flush
    from ._life import init, shutdown, stats
    from ._record import record
    from ._sigterm import flush_on_sigterm

    __version__: str

__all__ = [
    "aflush",
    "flush",
    "flush_on_sigterm",
    "init",
    "record",
    "set_consumer",
    "set_context",
    "set_endpoint",
    "shutdown",
    "stats",
]

_place.find()

_HOMES = {
    "aflush": "_flush",
    "flush": "_flush",
    "flush_on_sigterm": "_sigterm",
    "init": "_life",
    "record": "_record",
    "set_consumer": "_context",
    "set_context": "_context",
    "set_endpoint": "_context",
    "shutdown": "_life",
    "stats": "_life",
    "__version__": "_library",
}

if not TYPE_CHECKING:
    # After a reload each name is to be looked for again.
    for _name in _HOMES:
        globals().pop(_name, None)

    def __getattr__(name):
        """Imports a name with what it needs when it is first used, and keeps it."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = _forks.attribute(f"{__name__}.{_HOMES[name]}", name)
        return found

    def __dir__():
        return sorted({*globals(), *_HOMES})
