"""HTTP over plain sockets: each byte of a request as it was written, each byte of an answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

# Long enough for a slow machine; nothing waits that long where things go well.
PATIENCE_S = 60.0
_LIMIT = 1 << 24


def request(
    method: str,
    target: str,
    headers: Sequence[bytes] = (),
    body: bytes = b"",
    *,
    keep: bool = False,
) -> bytes:
    """The bytes of a request; `headers` are whole lines without their end."""
    lines = [f"{method} {target} HTTP/1.1".encode("ascii"), b"Host: 127.0.0.1", *headers]
    lines.append(b"Connection: keep-alive" if keep else b"Connection: close")
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    """The status of an answer; 0: there is none."""
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0


@asynccontextmanager
async def connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)
    try:
        yield reader, writer
    finally:
        writer.close()


async def whole(port: int, data: bytes) -> bytes:
    """The answer to its end, that is until the server closes."""
    got = b""
    async with connection(port) as (reader, writer):
        writer.write(data)
        try:
            while part := await asyncio.wait_for(reader.read(65536), PATIENCE_S):
                got += part
        except ConnectionError:
            pass  # how a server ends an answer that it could not finish is its own affair
    return got


async def left_after_first_chunk(port: int, data: bytes) -> bytes:
    """What had come when the client left, the first part of the body being there."""
    async with connection(port) as (reader, writer):
        writer.write(data)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        return head + await asyncio.wait_for(reader.read(65536), PATIENCE_S)


async def left_after(port: int, data: bytes, seconds: float) -> bytes:
    """What had come when the client left, `seconds` after its request."""
    async with connection(port) as (reader, writer):
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(seconds)
        return bytes(await reader.read(65536)) if reader.at_eof() else b""


async def on_one_connection(port: int, requests: Sequence[bytes]) -> list[bytes]:
    """The answers to requests that follow each other on one connection."""
    answers = []
    async with connection(port) as (reader, writer):
        for data in requests:
            writer.write(data)
            answers.append(await asyncio.wait_for(_one(reader), PATIENCE_S))
    return answers


async def _one(reader: asyncio.StreamReader) -> bytes:
    """One answer with a body, on a connection that stays."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head, re.I)
    if length:
        return head + await reader.readexactly(int(length[1]))
    if not re.search(rb"\r\ntransfer-encoding: *chunked\r\n", head, re.I):
        return head + await reader.read(-1)
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n") and body != b"0\r\n\r\n":
        size = await reader.readuntil(b"\r\n")
        body += size + await reader.readexactly(int(size.split(b";")[0], 16) + 2)
    return head + body
