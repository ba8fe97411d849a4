"""The URL rule that a request of Flask or Quart matched: both have Werkzeug's router."""

from __future__ import annotations

import contextlib
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ._normal import normal


def route_of(app: Any, request: Any) -> str | None:
    """In normal form, without mounts; of a 405 the rule that has its path. None: no rule has."""
    rule = request.url_rule
    if rule is None:
        rule = _of_another_method(app, request)
    return None if rule is None else normal("werkzeug", rule.rule)


def _of_another_method(app: Any, request: Any) -> Any:
    error = request.routing_exception
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        adapter = app.create_url_adapter(request)
        if adapter is not None:
            with contextlib.suppress(HTTPException):
                return adapter.match(method=next(iter(error.valid_methods)), return_rule=True)[0]
    return None
