"""Flask: an extension."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from flask import g, request, request_started
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from . import _environ, _record
from ._client import Setting
from ._context import MARK
from ._normal import normal
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
    said = request.environ.get(MARK)
    if said is None:
        return
    try:
        said.own = g.get
        rule = request.url_rule
        if rule is None:
            rule = _of_another_method(sender)
        if rule is not None:
            mount = _environ.mount(request.environ.get("SCRIPT_NAME") or "")
            said.route = mount + normal("werkzeug", rule.rule)
    except Exception as error:
        _record.lost(error)


def _of_another_method(app: Flask) -> Any:
    """The rule that the path of a 405 belongs to."""
    error = request.routing_exception
    adapter = app.create_url_adapter(request)
    if isinstance(error, MethodNotAllowed) and error.valid_methods and adapter is not None:
        with contextlib.suppress(HTTPException):
            return adapter.match(method=next(iter(error.valid_methods)), return_rule=True)[0]
    return None
