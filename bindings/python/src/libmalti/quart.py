"""Quart: an extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quart import g, request
from quart.signals import request_started

from . import _record, _werkzeug
from ._client import Setting
from ._context import MARK
from .asgi import MaltiMiddleware

if TYPE_CHECKING:
    from quart import Quart

__all__ = ["MaltiQuart"]

_NAME = "malti"


class MaltiQuart:
    """Records each request of a Quart application, as `libmalti.asgi.MaltiMiddleware` does, under
    its URL rule: blueprints and mounts included, 405 too; the path where no rule matched.

        MaltiQuart(app)

    The application may say more in `g.malti_consumer`, `g.malti_context` and `g.malti_endpoint`, or
    by `libmalti.set_consumer()` and its siblings. Settings are, the first that is there: keywords
    as of `libmalti.init`, `MALTI_*` in `app.config`, `MALTI_*` variables. A second extension for
    the same application does nothing.
    """

    def __init__(self, app: Quart | None = None, **settings: Setting) -> None:
        self._settings = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """For factories: the same for an application that came later."""
        if _NAME in app.extensions:
            return
        app.extensions[_NAME] = self
        settings = {**app.config.get_namespace("MALTI_"), **self._settings}
        target: Any = app
        target.asgi_app = MaltiMiddleware(target.asgi_app, **settings)
        # Of every application: one that is mounted in this one answers its requests too. It comes
        # before all hooks, in blueprints and without, and once however often it is connected.
        request_started.connect(_matched)


async def _matched(sender: Quart, **_: object) -> None:
    # What stands behind the proxy: each look through it costs as much as the rest.
    proxy: Any = request
    current = proxy._get_current_object()
    said = current.scope.get(MARK)
    if said is None:
        return
    try:
        said["own"] = g.get
        said["route"] = _werkzeug.route_of(sender, current) or said.get("route")
    except Exception as error:
        _record.lost(error)
