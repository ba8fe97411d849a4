"""Litestar: a plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ._client import Setting
from .asgi import MaltiMiddleware, Owner

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.config.app import AppConfig

__all__ = ["MaltiPlugin"]


class MaltiPlugin:
    """Records each request of a Litestar application as `libmalti.asgi.MaltiMiddleware` does, under
    its path template: routers and mounts included, 405 too; the path where no route matched.

        app = Litestar(route_handlers, plugins=[MaltiPlugin()])

    The application may say more in `request.state.malti_consumer`, `malti_context` and
    `malti_endpoint`, or by `libmalti.set_consumer()` and its siblings. It takes its place when the
    application starts: under a server without ASGI lifespan, `MaltiMiddleware(app)` does the same.
    Settings are those of `libmalti.init`.
    """

    def __init__(self, **settings: Setting) -> None:
        self._settings: dict[str, Any] = settings

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Called by Litestar."""
        app_config.lifespan.insert(0, self._life)
        return app_config

    @asynccontextmanager
    async def _life(self, app: Litestar) -> AsyncIterator[None]:
        target: Any = app
        # Around the router and its exception handler, where 404 and 405 pass too; Litestar's own
        # middleware is given only what has matched. An application may start more than once.
        if not isinstance(app.asgi_handler, MaltiMiddleware):
            target.asgi_handler = MaltiMiddleware(target.asgi_handler, **self._settings)
        owner = Owner()
        owner.take()
        try:
            yield
        except GeneratorExit:
            owner.give_back_now()
            raise
        finally:
            await owner.give_back()
