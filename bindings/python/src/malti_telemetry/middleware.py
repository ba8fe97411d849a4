"""See `libmalti.asgi`."""

from libmalti.asgi import MaltiMiddleware

__all__ = ["MaltiMiddleware"]
