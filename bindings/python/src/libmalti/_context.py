"""What the application says about the request that it is answering.

A context variable holds one mutable object per request. Tasks and worker threads started below the
request get a copy of the context but the same object, so what they set reaches the record.
"""

from __future__ import annotations

from contextvars import ContextVar


class Said:
    """The application's own values for one request; None: nothing said."""

    __slots__ = ("consumer", "context", "endpoint")

    def __init__(self) -> None:
        self.consumer: object | None = None
        self.context: object | None = None
        self.endpoint: object | None = None


current: ContextVar[Said | None] = ContextVar("libmalti_request", default=None)


def set_consumer(consumer: object | None) -> None:
    """Names the caller of the request that is being answered, before headers and query (text; other
    values by their `str`). None or blank: as if it had not been set.

    For asyncio tasks and worker threads below the request too. Outside a request it does nothing.
    """
    said = current.get()
    if said is not None:
        said.consumer = consumer


def set_context(context: object | None) -> None:
    """Adds free text to the record of the request that is being answered, at most 500 characters
    are kept. None: no text. Outside a request it does nothing.
    """
    said = current.get()
    if said is not None:
        said.context = context


def set_endpoint(endpoint: object | None) -> None:
    """Sets the endpoint of the request that is being answered, such as "/users/{user_id}", in place
    of the route that the framework matched. None: that route. Outside a request it does nothing.
    """
    said = current.get()
    if said is not None:
        said.endpoint = endpoint
