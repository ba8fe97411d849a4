"""See `libmalti.asgi`."""

from libmalti._compat.addresses import anonymize_ip, extract_ip_from_forwarded_for
from libmalti._compat.system import get_telemetry_system
from libmalti._log import logger
from libmalti.asgi import MaltiMiddleware

__all__ = [
    "MaltiMiddleware",
    "anonymize_ip",
    "extract_ip_from_forwarded_for",
    "get_telemetry_system",
    "logger",
]
