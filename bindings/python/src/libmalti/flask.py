"""Flask: an extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import g, request, request_started

from . import _environ, _record, _werkzeug
from ._client import Setting
from ._context import MARK
from .wsgi import MaltiMiddleware

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["MaltiFlask"]

_NAME = "malti"


class MaltiFlask:
    """Records each request of a Flask application, as `libmalti.wsgi.MaltiMiddleware` does, under
    its URL rule: blueprints and mounts included, 405 too; the path where no rule matched.

        MaltiFlask(app)

    The application may say more in `g.malti_consumer`, `g.malti_context` and `g.malti_endpoint`, or
    by `libmalti.set_consumer()` and its siblings. Settings are, the first that is there: keywords
    as of `libmalti.init`, `MALTI_*` in `app.config`, `MALTI_*` variables. A second extension for
    the same application does nothing.
    """

    def __init__(self, app: Flask | None = None, **settings: Setting) -> None:
        self._settings = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """For factories: the same for an application that came later."""
        if _NAME in app.extensions:
            return
        app.extensions[_NAME] = self
        settings = {**app.config.get_namespace("MALTI_"), **self._settings}
        target: Any = app
        target.wsgi_app = MaltiMiddleware(app.wsgi_app, **settings)
        # Of every application: one that is mounted in this one answers its requests too. It comes
        # before all hooks, in blueprints and without, and once however often it is connected.
        request_started.connect(_matched)


def _matched(sender: Flask, **_: object) -> None:
    # What stands behind the proxy: each look through it costs as much as the rest.
    proxy: Any = request
    current = proxy._get_current_object()
    said = current.environ.get(MARK)
    if said is None:
        return
    try:
        said["own"] = g.get
        route = _werkzeug.route_of(sender, current)
        if route is not None:
            said["route"] = _environ.mount(current.environ.get("SCRIPT_NAME") or "") + route
    except Exception as error:
        _record.lost(error)
