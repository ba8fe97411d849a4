"""Falcon, WSGI and ASGI."""

from __future__ import annotations

from typing import Any, Callable

import falcon
import falcon.asgi

from . import _environ, _record, asgi, wsgi
from ._client import Setting
from ._context import MARK, Said
from ._normal import normal

__all__ = ["instrument"]


def instrument(app: Any, **settings: Setting) -> Any:
    """Records each request of a Falcon application under its URI template, 405 too; a sink or a
    folder of static files is one endpoint; the path where nothing matched. Gives what the server is
    to run, `libmalti.wsgi.MaltiMiddleware` or, for `falcon.asgi.App`, that of `libmalti.asgi`.

        application = instrument(app)

    The application may say more in `req.context.malti_consumer`, `malti_context` and
    `malti_endpoint`, or by `libmalti.set_consumer()` and its siblings. Settings are those of
    `libmalti.init`.
    """
    keywords: dict[str, Any] = dict(settings)
    app.add_middleware(_Matched(app))
    if isinstance(app, falcon.asgi.App):
        return asgi.MaltiMiddleware(app, **keywords)
    return wsgi.MaltiMiddleware(app, **keywords)


class _Matched:
    """A component that tells which template, sink or folder of the application answers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def process_resource(self, req: Any, resp: Any, resource: object, params: object) -> None:
        """Only where a template matched."""
        self._tell(req, req.env)

    def process_response(self, req: Any, resp: Any, resource: object, succeeded: bool) -> None:
        self._tell(req, req.env)

    async def process_resource_async(
        self, req: Any, resp: Any, resource: object, params: object
    ) -> None:
        self._tell(req, req.scope)

    async def process_response_async(
        self, req: Any, resp: Any, resource: object, succeeded: bool
    ) -> None:
        self._tell(req, req.scope)

    def _tell(self, req: Any, carrier: Any) -> None:
        said: Said | None = carrier.get(MARK)
        if said is None or said.get("own") is not None:
            return
        try:
            said["own"] = _getter(req.context)
            route = self._route(req)
            if route is not None:
                # A scope's mounts are known to the middleware.
                script = carrier.get("SCRIPT_NAME")
                said["route"] = _environ.mount(script) + route if script else route
        except Exception as error:
            _record.lost(error)

    def _route(self, req: Any) -> str | None:
        template = req.uri_template
        if template is not None:
            return normal("falcon", template)
        for matcher, _, is_sink in getattr(self._app, "_sink_and_static_routes", ()):
            if matcher.match(req.path):
                if is_sink:
                    # A regular expression for how a path begins.
                    return _all_below(normal("django", matcher.pattern))
                return _all_below(matcher._prefix)
        return None


def _getter(context: Any) -> Callable[[str], object]:
    """Falcon's own context is asked as a dict is; one of the application's may be any object."""
    get: Callable[[str], object] | None = getattr(context, "get", None)
    return get if get is not None else lambda name: getattr(context, name, None)


def _all_below(prefix: str) -> str:
    return prefix.rstrip("/") + "/{path}"
