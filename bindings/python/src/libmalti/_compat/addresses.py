"""Addresses of callers, by the rules that the core has for consumers."""

from __future__ import annotations

from .. import _library
from .._client import Config

_NOBODY = "anonymous"


def _resolve(forwarded: str, peer: str, anonymize: bool) -> str | None:
    """What the core makes of a request with this header and peer."""
    rules = Config(
        {
            "consumer_order": "ip",
            "use_ip_as_consumer": True,
            "ip_anonymize": anonymize,
            "trusted_proxies": "",
        }
    )
    # A NUL would end the value inside the block of headers; no address has one.
    value = _library.encode(forwarded).partition(b"\0")[0]
    headers = b"x-forwarded-for\0" + value + b"\0" if value else b""
    address = _library.encode(peer)
    found = _library.field(
        _library.resolve_consumer,
        rules.pointer,
        *(None, 0),
        *(headers, len(headers)),
        *(None, 0),
        *(address, len(address)),
    )
    return None if found == _NOBODY else found


def extract_ip_from_forwarded_for(forwarded_for_header: str) -> str | None:
    """The leftmost address of an X-Forwarded-For header, in its shortest form and without a port.
    None: it is no address.
    """
    return _resolve(forwarded_for_header, "", False) if forwarded_for_header else None


def is_valid_ip(ip_str: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address, and nothing more."""
    import ipaddress

    try:
        ipaddress.ip_address(ip_str)
    except ValueError:
        return False
    return True


def anonymize_ip(ip_str: str) -> str:
    """The address with its last part masked: 192.168.1.xxx, or the first four groups of IPv6 in
    full and `xxxx:xxxx:xxxx:xxxx`. IPv4 inside IPv6 counts as IPv4; a zone or port is cut off. What
    is no address comes back as it is.
    """
    return _resolve("", ip_str, True) or ip_str
