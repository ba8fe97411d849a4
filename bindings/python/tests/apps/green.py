"""gevent's own WSGI server, whose standard library is patched. Prints `READY <port>`."""

from gevent import monkey

monkey.patch_all()

from collections.abc import Iterable  # noqa: E402  (what is patched comes first)
from typing import Any, Callable  # noqa: E402

import gevent.pywsgi  # noqa: E402
import libmalti  # noqa: E402
from libmalti.wsgi import MaltiMiddleware  # noqa: E402

turns = 0


def turn() -> None:
    global turns
    while True:
        turns += 1
        gevent.sleep(0.001)


def application(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    what, _, name = environ["PATH_INFO"][1:].partition("/")
    if what == "later":
        gevent.sleep(0.01)
        libmalti.set_consumer(name)
        gevent.sleep(0.01)
    elif what == "flush":
        before = turns
        name = f"{libmalti.flush(0.5)} {turns - before}"
    start("200 OK", [("Content-Length", str(len(name)))])
    return [name.encode()]


libmalti.flush_on_sigterm()
gevent.spawn(turn)
server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), MaltiMiddleware(application), log=None)
server.start()
print("READY", server.server_port, flush=True)
server.serve_forever()
