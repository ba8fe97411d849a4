"""Bottle: a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import _environ
from ._client import Setting
from ._context import Said
from ._environ import Environ
from ._normal import normal
from .wsgi import MaltiMiddleware

if TYPE_CHECKING:
    from bottle import Bottle, Route

__all__ = ["MaltiPlugin"]

_NOT_ALLOWED = 405
_DEEPEST = 16


class MaltiPlugin:
    """Records each request of a Bottle application, as `libmalti.wsgi.MaltiMiddleware` does, under
    its route's rule: mounts included, 405 too; the path where no route matched.

        app.install(MaltiPlugin())

    It belongs to the application that the server runs; mounted ones need none. The application may
    say more in `request.malti_consumer`, `malti_context` and `malti_endpoint`, or by
    `libmalti.set_consumer()` and its siblings. Settings are those of `libmalti.init`.
    """

    name = "malti"
    api = 2

    def __init__(self, **settings: Setting) -> None:
        self._settings = settings

    def setup(self, app: Bottle) -> None:
        if not isinstance(app.wsgi, MaltiMiddleware):
            target: Any = app
            target.wsgi = _Middleware(app, self._settings)

    def apply(self, callback: Callable[..., object], route: Route) -> Callable[..., object]:
        return callback


class _Middleware(MaltiMiddleware):
    def __init__(self, app: Bottle, settings: dict[str, Any]) -> None:
        super().__init__(app.wsgi, **settings)
        self._bottle = app
        self._tell = self._after

    def _after(self, environ: Environ, said: Said, status: int) -> None:
        """Bottle leaves in the environ what it matched, and what is set in its `request`."""

        def own(name: str) -> object:
            return environ.get("bottle.request.ext." + name)

        # What another framework said, mounted below, is nearer to the truth.
        if said.get("route") is None:
            said["own"] = own
            route = environ.get("bottle.route")
            if route is not None:
                said["route"] = self._pattern(route, environ)
            elif status == _NOT_ALLOWED:
                said["route"] = self._of_another_method(environ)

    def _pattern(self, route: Route, environ: Environ) -> str:
        script = _environ.mount(environ.get("SCRIPT_NAME") or "")
        rule: str = route.rule
        app = environ.get("bottle.app")
        if app is not self._bottle:
            # Mounted by way of WSGI: the rule is the inner one's alone.
            rule = _prefix(self._bottle, app, environ["PATH_INFO"]) + rule
        return script + normal("bottle", rule)

    def _of_another_method(self, environ: Environ) -> str | None:
        router = self._bottle.router
        for method in router.static.keys() | router.dyna_regexes.keys():
            try:
                route, _ = router.match({**environ, "REQUEST_METHOD": method})
            except Exception:
                continue
            return self._pattern(route, environ)
        return None


def _prefix(outer: Bottle, inner: object, path: str, depth: int = _DEEPEST) -> str:
    """Where `outer`, or one that it has mounted, has mounted `inner`, as far as the path fits."""
    for route in outer.routes:
        target = route.config.get("mountpoint.target")
        prefix = (route.config.get("mountpoint.prefix") or "").rstrip("/")
        if target is None or not f"{path}/".startswith(f"{prefix}/"):
            continue
        if target is inner:
            return prefix
        if depth and hasattr(target, "routes"):
            found = _prefix(target, inner, path[len(prefix) :], depth - 1)
            if found:
                return prefix + found
    return ""
