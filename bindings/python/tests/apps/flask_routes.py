"""Flask: blueprints in blueprints, and an application mounted in another one."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import libmalti
import wsgi_serving
from flask import Blueprint, Flask, Response, g, request, send_file, stream_with_context
from libmalti.flask import MaltiFlask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

app = Flask(__name__, static_folder="../apps")
app.config["MALTI_NODE"] = "n1"


@app.get("/users/<int:user_id>")
def user(user_id: int) -> dict[str, int]:
    return {"user": user_id}


@app.post("/items")
def create() -> tuple[str, int]:
    return "made", 201


@app.get("/files/<path:path>")
def files(path: str) -> str:
    return path


@app.get('/odd/<any("a,b", c):one>-<string(length=2):two>/')
def odd(one: str, two: str) -> str:
    return one + two


@app.get("/stream")
def stream() -> Response:
    def chunks() -> Iterator[str]:
        for _ in range(3):
            yield "x" * 10
            time.sleep(0.1)
        libmalti.set_consumer("streamer")
        g.malti_context = request.path

    return Response(stream_with_context(chunks()))


@app.get("/endless")
def endless() -> Response:
    def chunks() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536
            time.sleep(0.01)

    return Response(chunks())


@app.get("/file")
def file() -> Response:
    return send_file(Path(__file__))


@app.get("/boom")
def boom() -> str:
    raise LookupError("boom")


@app.get("/boom-late")
def boom_late() -> Response:
    def chunks() -> Iterator[str]:
        yield "x"
        raise LookupError("boom-late")

    return Response(chunks())


@app.get("/slow/<float:seconds>")
def slow(seconds: float) -> str:
    print("slow begins", file=sys.stderr, flush=True)
    time.sleep(seconds)
    return "slow"


@app.get("/who")
def who() -> str:
    g.malti_consumer = " st "
    g.malti_context = "plan=pro"
    return "who"


@app.get("/who-null")
def who_null() -> str:
    g.malti_consumer = None
    return "who-null"


@app.get("/both")
def both() -> str:
    g.malti_consumer = "own"
    g.malti_endpoint = "/own/{x}"
    libmalti.set_consumer("function")
    return "both"


@app.get("/code/<int:code>")
def code(code: int) -> tuple[str, int]:
    return "", code


@app.get("/renamed")
def renamed() -> str:
    libmalti.set_endpoint("/custom/{x}")
    return "renamed"


@app.get("/later/<name>")
def later(name: str) -> str:
    time.sleep(0.01)
    libmalti.set_consumer(name)
    return name


tenants = Blueprint("tenants", __name__, url_prefix="/tenants/<tenant>")
orders = Blueprint("orders", __name__, url_prefix="/orders")


@orders.get("/<int:order_id>")
def order(tenant: str, order_id: int) -> str:
    return f"{tenant} {order_id}"


@tenants.before_request
def refuse() -> "tuple[str, int] | None":
    return ("refused", 403) if "refuse" in request.args else None


tenants.register_blueprint(orders)
app.register_blueprint(tenants)

# One with the extension, one without.
for name, instrumented in (("twice", True), ("plain", False)):
    mounted = Flask(name)

    @mounted.get("/deep/<uuid:key>")
    def deep(key: object) -> str:
        g.malti_consumer = "mounted"
        return str(key)

    if instrumented:
        MaltiFlask(mounted)
    app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, {f"/{name}": mounted.wsgi_app}
    )

extension = MaltiFlask()
extension.init_app(app)
MaltiFlask(app)

if __name__ == "__main__":
    wsgi_serving.run(app)
