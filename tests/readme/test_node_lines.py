"""The snippets about Node, each as it stands there in an application that is served and asked."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Process, Receiver, environment
from newcomer import fetch
from snippets import ROOT, Where, at

PACKAGES = ROOT / "bindings" / "node" / "tests" / "node_modules"

BLOCKS: dict[str, Where] = {
    "settings": ("docs/integrations.md", "js", "app.use(malti({"),
    "Express": ("docs/integrations.md", "js", "const express"),
    "Fastify": ("docs/integrations.md", "js", "const fastify"),
    "Koa": ("docs/integrations.md", "js", "const Koa"),
    "Hono": ("docs/integrations.md", "js", "import { Hono }"),
    "Nest on Express": ("docs/integrations.md", "ts", "import malti from 'libmalti/express'"),
    "Nest on Fastify": ("docs/integrations.md", "ts", "import malti from 'libmalti/fastify'"),
    "hapi": ("docs/integrations.md", "js", "const Hapi"),
    "node:http": ("docs/integrations.md", "js", "const http"),
    "the binding's page": ("bindings/node/README.md", "js", "const express"),
    "an orderly end": ("bindings/node/README.md", "js", "process.once("),
    "a signal": ("bindings/node/README.md", "js", "const { flushOnSignal }"),
}
ROUTE = "app.get('/users/:user_id', (req, res) => res.send('ok'))\n"
LISTEN = "app.listen(0, '127.0.0.1', function () { console.log('READY', this.address().port) })\n"
# Without a compiler decorators are the functions that they are.
NEST = """
import 'reflect-metadata'
import * as common from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
class Users { user() { return 'ok' } }
const method = Object.getOwnPropertyDescriptor(Users.prototype, 'user')
common.Get('/users/:user_id')(Users.prototype, 'user', method)
common.Controller()(Users)
class AppModule {}
common.Module({ controllers: [Users] })(AppModule)
"""
NEST_LISTENS = """
await app.listen(0, '127.0.0.1')
console.log('READY', app.getHttpServer().address().port)
"""
SERVER = """
const { instrument } = require('libmalti')
const server = require('node:http').createServer((req, res) => res.end('ok'))
instrument(server, { endpoint: () => '/users/{user_id}', batch_interval: 3600, batch_size: 500 })
server.listen(0, '127.0.0.1', () => console.log('READY', server.address().port))
"""
# What stands before a snippet, and what behind it.
AROUND: dict[str, tuple[str, str]] = {
    "settings": (
        "const app = require('express')()\nconst malti = require('libmalti/express')\n",
        ROUTE + LISTEN,
    ),
    "Express": ("", ROUTE + LISTEN),
    "Fastify": (
        "",
        """
app.get('/users/:user_id', async () => 'ok')
await app.listen({ port: 0, host: '127.0.0.1' })
console.log('READY', app.server.address().port)
""",
    ),
    "Koa": (
        "",
        """
const Router = require('@koa/router')
const router = new Router()
router.get('/users/:user_id', (ctx) => { ctx.body = 'ok' })
app.use(router.routes())
"""
        + LISTEN,
    ),
    "Hono": (
        "import { serve } from '@hono/node-server'\n",
        """
app.get('/users/:user_id', (c) => c.text('ok'))
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, (on) => console.log('READY', on.port))
""",
    ),
    "Nest on Express": (NEST, NEST_LISTENS),
    "Nest on Fastify": (NEST, NEST_LISTENS),
    "hapi": (
        "",
        """
server.route({ method: 'GET', path: '/users/{user_id}', handler: () => 'ok' })
await server.start()
console.log('READY', server.info.port)
""",
    ),
    "node:http": (
        "const handler = (req, res) => res.end('ok')\n",
        "server.listen(0, '127.0.0.1', () => console.log('READY', server.address().port))\n",
    ),
    "the binding's page": ("", ROUTE + LISTEN),
    "an orderly end": (SERVER, ""),
    "a signal": (SERVER, ""),
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    process = Receiver()
    yield process
    process.kill()


def start(name: str, snippet: str, url: str, folder: Path) -> Process:
    if not shutil.which("node") or not PACKAGES.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("node or its packages are not installed (.ci/node.py)")
        pytest.skip("node or its packages are not installed (make doctor)")
    (folder / "node_modules").symlink_to(PACKAGES)
    before, after = AROUND[name]
    # Types are for a compiler, and 3000 may be somebody's.
    snippet = snippet.replace("<NestFastifyApplication>", "").replace("port: 3000", "port: 0")
    text = before + snippet + after
    is_module = "import " in text
    if not is_module:
        text = f"(async () => {{\n{text}\n}})()\n"
    application = folder / ("application.mjs" if is_module else "application.cjs")
    application.write_text(text, "utf-8")
    server = Process(["node", str(application)], environment(url))
    line = server.line()
    while not line.startswith("READY "):  # what a framework has to say
        line = server.line()
    server.port = int(line.split()[1])  # type: ignore[attr-defined]
    return server


@pytest.mark.parametrize("name", BLOCKS)
def test_each_snippet_records_its_route(name: str, receiver: Receiver, tmp_path: Path) -> None:
    snippet = at(BLOCKS[name])
    server = start(name, snippet, receiver.url, tmp_path)
    try:
        port = server.port  # type: ignore[attr-defined]
        assert fetch(f"http://127.0.0.1:{port}/users/7")[0] == 200
        if name == "an orderly end":
            assert server.stop() == 0
        elif name == "a signal":
            assert server.stop() == -signal.SIGTERM
        (record,) = receiver.wait_for(1)
        expected = ("GET", "/users/{user_id}", 200, "shop" if name == "settings" else "conf")
        assert tuple(record[key] for key in ("method", "endpoint", "status", "service")) == expected
    finally:
        server.kill()
