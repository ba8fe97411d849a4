"""What other ASGI frameworks leave in the scope about the route that answered: Litestar, Responder.

Attributes are looked for, nothing is imported. For 405 neither leaves any: their routers are asked
which route has the path.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from ._normal import normal

# Litestar answers OPTIONS on every path itself, unless it is told not to.
_METHODS = ("OPTIONS", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


def route_of(scope: MutableMapping[str, Any], path: str) -> str | None:
    """The route in normal form, without what is above the scope's root path; None: none of theirs.
    `path` is the scope's on entry. For a scope with `litestar_app` or, Responder's, `api`.
    """
    if "litestar_app" in scope:
        litestar = _litestar(scope, path)
        return None if litestar is None else normal("litestar", litestar)
    api = scope.get("api")
    if api is None:
        return None
    responder: str | None = scope.get("route_pattern")
    if responder is None:
        responder = _responder_405(api, scope["path"])
    return None if responder is None else normal("starlette", responder)


def _litestar(scope: MutableMapping[str, Any], path: str) -> str | None:
    whole = _below(path, scope).rstrip("/")
    # An app in a mount sees what is left of the path, and a mount has no parameters.
    left: str = scope["path"].rstrip("/")
    mount = whole[: len(whole) - len(left)] if whole.endswith(left) else ""
    template: str | None = scope.get("path_template")
    if template is None or (mount and template in ("", "/")):
        found = _matching(scope, whole)
        if mount and (found is None or found[1] is not scope.get("route_handler")):
            # What is mounted is Litestar too.
            found = _matching(scope, left)
        elif mount:
            # All below the mount is one endpoint.
            return mount + "/{path}"
        if found is None:
            return None
        template = str(found[4])
    return mount + template


def _matching(scope: MutableMapping[str, Any], path: str) -> Any:
    """What Litestar's router has for a path, whatever the method."""
    router = getattr(scope["litestar_app"], "asgi_router", None)
    for method in _METHODS:
        try:
            return router.handle_routing(path=path or "/", method=method)  # type: ignore[union-attr]
        except Exception as error:
            if getattr(error, "status_code", None) != 405:
                break
    return None


def _responder_405(api: Any, path: str) -> str | None:
    for route in getattr(getattr(api, "router", None), "routes", ()):
        if getattr(route, "methods", None) and route.path_re.match(path):
            template: str = route.path_template
            return template
    return None


def _below(path: str, scope: MutableMapping[str, Any]) -> str:
    root = scope.get("root_path") or ""
    return path[len(root) :] if root and path.startswith(root) else path
