"""Which route answered, in normal form: Starlette and FastAPI.

Both leave what they matched in the scope, but not the same things in every version, so attributes
are looked for and nothing is imported.

- Starlette: `scope["endpoint"]`, from 1.7 on `scope["route"]`.
- FastAPI: `scope["route"]`, from 0.137 on without the prefix of `include_router`, which
  `scope["fastapi"]["effective_route_context"]` has.
- Mounts: `scope["root_path"]` holds actual values, so the parameters' names are found by walking
  the routes that were there to match.
- A plain Route inside FastAPI, or a mounted app, may leave what an outer router had set: a route
  counts only if its endpoint is the scope's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

from . import _others
from ._normal import normal

_REST = "/{path}"
_DEEPEST = 16


def is_unrouted(scope: MutableMapping[str, Any]) -> bool:
    """Whether no router that is known here has seen the scope."""
    return not ("endpoint" in scope or "litestar_app" in scope or "api" in scope)


def endpoint_of(
    scope: MutableMapping[str, Any], path: str, root_on_entry: str, known: str | None = None
) -> str:
    """The pattern of the route that answered, mounts included; the path where none did.

    `path` is the scope's on entry. `known` is what the framework that answered said, without the
    mounts.
    """
    endpoint = scope.get("endpoint")
    leaf = None if endpoint is None else _leaf(scope, endpoint)
    mounted = (scope.get("root_path") or "") != root_on_entry
    if leaf is not None and known is None and not mounted:
        return normal("starlette", leaf)
    if known is None and ("litestar_app" in scope or "api" in scope):
        known = _others.route_of(scope, path)
    if known is not None and not mounted and endpoint is None:
        return known
    pattern = None if endpoint is None else _pattern(scope, path, root_on_entry, endpoint, leaf)
    if known is not None:
        # To the router around it that framework is an opaque app: all below its mount is one route.
        mount = _below(scope.get("root_path") or "", root_on_entry)
        if pattern is not None and pattern.endswith(_REST):
            mount = pattern[: -len(_REST)]
        return normal("starlette", mount) + known if mount else known
    if pattern is not None:
        return normal("starlette", pattern)
    return _below(path, root_on_entry) or "/"


def _pattern(
    scope: MutableMapping[str, Any],
    path: str,
    root_on_entry: str,
    endpoint: object,
    leaf: str | None,
) -> str | None:
    root: str = scope.get("root_path") or ""
    # Starlette's mounts keep the root path that the outermost app was called with.
    outer: str = scope.get("app_root_path", root)
    above = _below(outer, root_on_entry) if outer != root_on_entry else ""
    router = scope.get("router")
    walked = _walk(getattr(router, "routes", ()), _below(path, outer), endpoint)
    if walked is not None:
        return above + walked
    return None if leaf is None else _below(root, root_on_entry) + leaf


def _leaf(scope: MutableMapping[str, Any], endpoint: object) -> str | None:
    """The format of the matched route itself, without the mounts above it."""
    context = scope.get("fastapi", {}).get("effective_route_context")
    for route in (getattr(context, "starlette_route", None) or context, scope.get("route")):
        if route is not None and getattr(route, "endpoint", None) is endpoint:
            path: str | None = getattr(route, "path_format", None)
            return path
    return None


def _walk(routes: Iterable[Any], path: str, endpoint: object, depth: int = _DEEPEST) -> str | None:
    """The format of the route with this endpoint that this path leads to."""
    for route in _flat(routes):
        match = _match(route, path)
        if match is None:
            continue
        if getattr(route, "endpoint", None) is endpoint:
            format: str = route.path_format
            return format
        app = getattr(route, "app", None)
        inner = _inner(app)
        if match is not True and inner is None and app is endpoint:
            # An opaque app, such as a folder of files: all below its mount is one endpoint.
            mount: str = route.path_format
            return mount
        if inner is None or depth == 0:
            continue
        # A host takes nothing off the path, a mount all but `{path}`.
        rest, prefix = (
            (path, "") if match is True else ("/" + match["path"], route.path_format[: -len(_REST)])
        )
        found = _walk(inner, rest, endpoint, depth - 1)
        if found is not None:
            return prefix + found
    return None


def _match(route: Any, path: str) -> Any:
    """The match of a route's or mount's regular expression; True for a host, which has none."""
    regex = getattr(route, "path_regex", None)
    return True if regex is None else regex.match(path)


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes, with those of FastAPI's included routers under their whole prefix."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
        else:
            for context in contexts():
                yield context.starlette_route or context


def _inner(app: Any) -> Iterable[Any] | None:
    """The routes of a mounted app, which other ASGI apps may be wrapped around."""
    for _ in range(_DEEPEST):
        if app is None:
            break
        routes: Iterable[Any] | None = getattr(app, "routes", None)
        if routes is not None:
            return routes
        app = getattr(app, "app", None)
    return None


def _below(path: str, root: str) -> str:
    """The path without the root that it begins with."""
    return path[len(root) :] if root and path.startswith(root) else path
