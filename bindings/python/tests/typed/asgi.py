"""What type checkers have to accept, and to refuse, of who uses the ASGI middleware. Never run.

The shapes are those of frameworks, which are not installed where types are checked.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable, Protocol, TypedDict, Union

from libmalti.asgi import MaltiMiddleware, Scope

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")

Anything = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]


class Factory(Protocol["P"]):
    """A middleware, for Starlette: the application by its place, then keywords."""

    def __call__(self, app: Anything, /, *args: P.args, **kwargs: P.kwargs) -> Anything: ...


def add_middleware(middleware: Factory[P], *args: P.args, **kwargs: P.kwargs) -> None: ...


class Http(TypedDict):
    type: str
    path: str


class Lifespan(TypedDict):
    type: str


class Event(TypedDict):
    type: str


# asgiref's and Litestar's way to see an application.
Exact = Callable[
    [Union[Http, Lifespan], Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]],
    Awaitable[None],
]


def by_path(scope: Scope) -> str | None:
    return str(scope["path"])


def starlette() -> None:
    add_middleware(MaltiMiddleware)
    add_middleware(MaltiMiddleware, False, service_name="shop", batch_size=5, exclude=["/a"])
    add_middleware(MaltiMiddleware, endpoint=by_path)
    add_middleware(MaltiMiddleware, endpoint=lambda scope: "/files/{path}")
    add_middleware(MaltiMiddleware, endpoint=5)  # type: ignore[arg-type]
    add_middleware(MaltiMiddleware, service_name=object())  # type: ignore[arg-type]


def wrapped(app: Exact) -> Exact:
    return MaltiMiddleware(app)


def twice(app: Anything) -> MaltiMiddleware:
    return MaltiMiddleware(app=MaltiMiddleware(app, service_name="shop"), clean_mode=False)
