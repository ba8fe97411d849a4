"""See `libmalti.asgi`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libmalti._compat.addresses import anonymize_ip, extract_ip_from_forwarded_for
    from libmalti._compat.system import get_telemetry_system
    from libmalti._log import logger
    from libmalti.asgi import MaltiMiddleware
else:
    from libmalti._compat import __getattr__  # noqa: F401

__all__ = [
    "MaltiMiddleware",
    "anonymize_ip",
    "extract_ip_from_forwarded_for",
    "get_telemetry_system",
    "logger",
]
