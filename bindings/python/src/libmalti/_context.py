"""What the application says about the request that it is answering.

A context variable holds one mutable object per request. Tasks and worker threads started below the
request get a copy of the context but the same object, so what they set reaches the record.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypedDict

    class Said(TypedDict, total=False):
        """What was said of one request by the application and its framework; None: nothing. Of most
        requests nothing is said.
        """

        consumer: object | None
        context: object | None
        endpoint: object | None
        #: Asks the framework's own object for the request for `malti_consumer` and its siblings.
        own: Callable[[str], object] | None
        #: The pattern that the framework matched, in normal form, if the framework itself says so.
        route: str | None
else:
    # typing takes longer to import than all of ours.
    Said = dict


def settled(
    said: Said, own: Callable[[str], object] | None = None
) -> tuple[object, object, object]:
    """Consumer, context, endpoint: what was set by function, else in the framework's object, which
    is let go: tasks that outlive their request keep this dictionary.
    """
    consumer, context, endpoint = said.get("consumer"), said.get("context"), said.get("endpoint")
    for ask in (said.pop("own", None), own):
        if ask is not None:
            if consumer is None:
                consumer = ask("malti_consumer")
            if context is None:
                context = ask("malti_context")
            if endpoint is None:
                endpoint = ask("malti_endpoint")
    return consumer, context, endpoint


# Where a request that is being recorded keeps its `Said`, in a scope or environ. An app with the
# middleware that is mounted in another one finds it, and does not record the request again.
MARK = "libmalti"

current: ContextVar[Said | None] = ContextVar("libmalti_request", default=None)


def leave(token: Token[Any]) -> None:
    """Takes back what set a variable, at the end of a coroutine."""
    try:
        token.var.reset(token)
    except ValueError:
        # One that nobody awaited to its end is closed by the garbage collector, in any context.
        return


def set_consumer(consumer: object | None) -> None:
    """Names the caller of the request that is being answered, before headers and query (text; other
    values by their `str`). None or blank: as if it had not been set.

    For asyncio tasks and worker threads below the request too. Outside a request it does nothing.
    """
    said = current.get()
    if said is not None:
        said["consumer"] = consumer


def set_context(context: object | None) -> None:
    """Adds free text to the record of the request that is being answered, at most 500 characters
    are kept. None: no text. Outside a request it does nothing.
    """
    said = current.get()
    if said is not None:
        said["context"] = context


def set_endpoint(endpoint: object | None) -> None:
    """Sets the endpoint of the request that is being answered, such as "/users/{user_id}", in place
    of the route that the framework matched. None: that route. Outside a request it does nothing.
    """
    said = current.get()
    if said is not None:
        said["endpoint"] = endpoint
