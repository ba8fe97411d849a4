"""The demo's FastAPI server: a shop. Its only telemetry is the line that adds the middleware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import serving
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from malti_telemetry.middleware import MaltiMiddleware

SEARCH_TAKES_S = 0.08
EXPORT_TAKES_S = 0.15
TOKENS = {"Bearer acme-token": "acme", "Bearer globex-token": "globex"}

app = FastAPI()
app.add_middleware(MaltiMiddleware)
carts = APIRouter(prefix="/carts/{cart_id}")
admin = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.api_route("/products", methods=["GET", "HEAD"])
async def products() -> list[int]:
    return [1, 2, 3]


@app.get("/products/{product_id}")
async def product(product_id: int) -> dict[str, int]:
    if product_id > 100:
        raise HTTPException(404, "no such product")
    return {"id": product_id}


@app.get("/search")
async def search(q: str) -> dict[str, str]:
    await asyncio.sleep(SEARCH_TAKES_S)
    return {"found": q}


@app.get("/export")
async def export() -> StreamingResponse:
    """A body that takes its time, which counts, although the head is out at once."""

    async def lines() -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(EXPORT_TAKES_S / 3)
            yield f"{number}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/orders/{order_id}")
async def order(order_id: int, request: Request) -> dict[str, int]:
    caller = TOKENS.get(request.headers.get("authorization", ""))
    if caller is None:
        raise HTTPException(401, "who are you?")
    request.state.malti_consumer = caller
    if order_id == 13:
        raise HTTPException(503, "the order's database is not there")
    return {"id": order_id}


@app.post("/orders", status_code=201)
def place(request: Request) -> dict[str, str]:
    """Not async, so FastAPI runs it on another thread."""
    request.state.malti_consumer = TOKENS.get(request.headers.get("authorization", ""))
    request.state.malti_context = "checkout, " + request.headers["x-request-id"]
    return {"status": "placed"}


@app.get("/invoices/{number}")
async def invoice(number: str) -> None:
    raise RuntimeError(f"invoice {number} can't be printed (on purpose)")


@carts.put("/items/{item_id}")
async def put_item(cart_id: str, item_id: int) -> dict[str, int]:
    return {"items": 1}


@carts.delete("/items/{item_id}", status_code=204)
async def drop_item(cart_id: str, item_id: int) -> Response:
    return Response(status_code=204)


@admin.get("/jobs/{job_id}")
async def job(job_id: str) -> dict[str, str]:
    raise HTTPException(403, "not for you")


app.include_router(carts)
app.mount("/admin", admin)


if __name__ == "__main__":
    serving.under_uvicorn(app)
