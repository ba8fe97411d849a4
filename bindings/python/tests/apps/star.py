"""Starlette, with a lifespan of its own, wrapped from outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import serving
from libmalti.asgi import MaltiMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"db": "connected"}


async def answer(request: Request) -> Response:
    return JSONResponse([request.state.db, request.path_params])


routes = [
    Route("/users/{user_id:int}", answer),
    Mount("/a/{x}", routes=[Route("/b/{y}", answer, methods=["POST"])]),
]
serving.run(MaltiMiddleware(Starlette(routes=routes, lifespan=lifespan)))
