"""The demo's Flask server: reviews of products. Its only telemetry is the extension's line."""

from __future__ import annotations

import time
from collections.abc import Iterator

import serving
from flask import Blueprint, Flask, Response, abort, g, request
from libmalti.flask import MaltiFlask

DIGEST_TAKES_S = 0.09
TOKENS = {"Bearer acme-token": "acme", "Bearer globex-token": "globex"}

app = Flask(__name__)
MaltiFlask(app)
votes = Blueprint("votes", __name__, url_prefix="/reviews/<int:review_id>/votes")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.get("/reviews")
def reviews() -> list[int]:
    return [1, 2, 3]


@app.post("/reviews")
def write() -> tuple[dict[str, str], int]:
    g.malti_consumer = TOKENS.get(request.headers.get("Authorization", ""))
    g.malti_context = "review, " + request.headers["X-Request-Id"]
    return {"status": "written"}, 201


@app.get("/reviews/<int:review_id>")
def review(review_id: int) -> dict[str, int]:
    return {"id": review_id} if review_id <= 100 else abort(404)


@app.get("/digest")
def digest() -> Response:
    """A body that takes its time, which counts, although the head is out at once."""

    def lines() -> Iterator[str]:
        for number in range(3):
            time.sleep(DIGEST_TAKES_S / 3)
            yield f"{number}\n"

    return Response(lines(), mimetype="text/plain")


@app.get("/reported/<path:page>")
def reported(page: str) -> str:
    caller = TOKENS.get(request.headers.get("Authorization", ""))
    if caller is None:
        abort(401)
    g.malti_consumer = caller
    if caller != "acme":
        abort(403)
    return page


@app.get("/stars/<sku>")
def stars(sku: str) -> str:
    raise RuntimeError(f"the stars of {sku} can't be counted (on purpose)")


@votes.put("/<voter>")
def vote(review_id: int, voter: str) -> dict[str, int]:
    return {"votes": 1}


@votes.delete("/<voter>")
def withdraw(review_id: int, voter: str) -> tuple[str, int]:
    return "", 204


app.register_blueprint(votes)

if __name__ == "__main__":
    serving.under_waitress(app)
