"""Serves FastAPI's application with one subject by uvicorn until standard input ends: `serve.py
SUBJECT`. Prints its port, then for each line "delivered" how many requests have left the subject,
all of them, or null where that is not known.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import subjects
import uvicorn
import worker


async def main(name: str) -> None:
    logging.disable(logging.CRITICAL)
    client = worker.CLIENTS[subjects.CLIENTS[name]]() if name in subjects.CLIENTS else None
    if client:
        await client.start()
    app = subjects.ALL[name](subjects.fastapi())
    # And what apitally and sentry have switched on.
    logging.disable(logging.CRITICAL)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    serving = asyncio.ensure_future(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        if client:
            await client.send()
            print(json.dumps(client.sent()), flush=True)
        else:
            count = subjects.DELIVERED.get(name)
            print(json.dumps(count() if count else None), flush=True)
    server.should_exit = True
    await serving


asyncio.run(main(sys.argv[1]))
