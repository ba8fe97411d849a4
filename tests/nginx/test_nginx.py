"""The module in Debian's nginx: what each request leaves, and that nothing is lost on the way."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

import serving
from harness import PATIENCE, Receiver, until
from serving import Nginx
from upstream import Upstream

pytestmark = pytest.mark.skipif(bool(serving.missing()), reason=f"needs {serving.missing()}")

# Where a record is to arrive only because its worker ended, it would wait longer than the test.
HOUR = "malti_set batch_interval 3600;"
EACH = "malti_set batch_size 1;"
OK = "malti on; server { LISTEN location / { return 200; } }"
ROUTES = """
    malti on;
    malti_set clean_mode off;
    malti_set context_headers x-request-id;
    server {
        LISTEN
        root .;
        server_name_in_redirect off;
        log_subrequest on;

        location / { proxy_pass http://UPSTREAM; }
        location = /health { return 200 "well\\n"; }
        location /users/ { proxy_pass http://UPSTREAM; }
        location /api { proxy_pass http://UPSTREAM; }
        location ~ ^/orders/(?<order_id>\\d+)$ { proxy_pass http://UPSTREAM; }
        location ~ ^/tenants/([^/]+)/ { proxy_pass http://UPSTREAM; }
        location ~* \\.(css|js)$ { return 200 "static\\n"; }
        location /named/ {
            malti_endpoint "/named/{id}";
            malti_consumer $http_x_customer;
            malti_context "plan=$arg_plan";
            proxy_pass http://UPSTREAM;
        }
        location /late/ {
            malti_consumer $upstream_http_x_customer;
            proxy_pass http://UPSTREAM;
        }
        location /quiet/ { malti off; return 200 "quiet\\n"; }
        location /nest/ {
            malti_consumer $http_x_customer;
            proxy_pass http://UPSTREAM;
            location /nest/quiet/ {
                malti off;
                return 200 "quiet\\n";
                location /nest/quiet/loud/ { malti on; return 200 "loud\\n"; }
            }
            location = /nest/quiet { malti off; return 200 "quiet\\n"; }
        }
        location /limited { limit_except GET { deny all; } return 200 "limited\\n"; }

        location /guarded/ { auth_request /auth; proxy_pass http://UPSTREAM; }
        location = /auth { internal; proxy_pass http://UPSTREAM/status/204; }
        location /try/ { try_files $uri @fallback; }
        location @fallback { proxy_pass http://UPSTREAM; }
        location /broken/ { error_page 502 /sorry.html; proxy_pass http://unix:nobody.sock; }
        location /hushed/ {
            malti off; error_page 502 /sorry.html; proxy_pass http://unix:nobody.sock;
        }
        location = /sorry.html { return 503 "sorry\\n"; }
        location /old/ { rewrite ^/old/(.*) /users/$1 last; }
        location /closed/ { return 444; }
    }
    server {
        LISTEN
        server_name other;
        error_page 410 /sorry.html;
        if ($uri ~ ^/gone/) { return 410; }
        if ($uri ~ ^/plain/) { return 301 https://elsewhere$request_uri; }
        rewrite ^/was/(.*) /is/$1;
        location /is/ { return 200 "is\\n"; }
        location = /sorry.html { return 200 "sorry\\n"; }
    }
"""

Record = dict[str, Any]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return serving.build(tmp_path_factory.mktemp("module"))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.end()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    process = Receiver()
    yield process
    process.kill()


Make = Callable[..., Nginx]


@pytest.fixture
def nginx(module: Path, tmp_path: Path, receiver: Receiver) -> Iterator[Make]:
    """Makes the test's nginx, which delivers to its receiver."""
    made = []

    def make(conf: str, url: str = "", **more: Any) -> Nginx:
        client = f"malti_url {url or receiver.url}; malti_api_key key; malti_service_name edge;"
        made.append(Nginx(module, tmp_path, client + conf, **more))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def ask(nginx: Nginx, method: str, target: str, body: bytes | None = None, **headers: str) -> int:
    """The status of an answer; 0: there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=PATIENCE)
    try:
        connection.request(
            method, target, body, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        response = connection.getresponse()
        response.read()
        return response.status
    except http.client.RemoteDisconnected:
        return 0
    finally:
        connection.close()


def proxied(upstream: Upstream) -> str:
    return f"malti on; server {{ LISTEN location / {{ proxy_pass http://{upstream.address}; }} }}"


def rows(records: list[Record]) -> list[str]:
    """What a record says, as a line."""
    names = ("method", "endpoint", "status", "consumer", "context")
    return [" ".join(str(record[n]) for n in names if record[n] is not None) for record in records]


# A request, and the record that it leaves.
TABLE: list[tuple[str, dict[str, str], str | None]] = [
    ("GET /health", {}, "GET /health 200 anonymous"),
    ("GET /users/7?x=1", {}, "GET /users/* 200 anonymous"),
    ("HEAD /users/7", {}, "HEAD /users/* 200 anonymous"),
    ("POST /users/", {"X_User_Id": "ann"}, "POST /users/* 201 ann"),
    ("GET /users", {}, "GET /users 301 anonymous"),
    ("GET /apis", {}, "GET /api* 200 anonymous"),
    ("GET /orders/12", {"X_Request_Id": "r1"}, "GET /orders/{order_id} 200 anonymous r1"),
    ("GET /tenants/acme/x/y", {}, "GET /tenants/{0}/* 200 anonymous"),
    ("GET /a/b.CSS", {}, "GET /*.{0} 200 anonymous"),
    ("GET /some/where%20else?consumer_id=q%20r", {}, "GET /some/where%20else 200 q r"),
    ("GET /status/404", {}, "GET /status/404 404 anonymous"),
    ("GET /named/5?plan=pro", {"X_Customer": "acme"}, "GET /named/{id} 200 acme plan=pro"),
    ("GET /named/5", {"X_User_Id": "ann"}, "GET /named/{id} 200 ann plan="),
    ("GET /late/", {"X_User_Id": "a"}, "GET /late/* 200 known-to-the-upstream"),
    ("GET /quiet/", {}, None),
    ("GET /nest/7", {"X_Customer": "acme"}, "GET /nest/* 200 acme"),
    ("GET /nest/quiet", {}, None),
    ("GET /nest/quiet/7", {}, None),
    ("GET /nest/quiet/loud/7", {"X_Customer": "acme"}, "GET /nest/quiet/loud/* 200 acme"),
    ("GET /limited", {}, "GET /limited* 200 anonymous"),
    ("DELETE /limited", {}, "DELETE /limited* 403 anonymous"),
    ("GET /guarded/x", {}, "GET /guarded/* 200 anonymous"),
    ("GET /try/x", {}, "GET /try/* 200 anonymous"),
    ("GET /broken/x", {}, "GET /broken/* 502 anonymous"),
    ("GET /hushed/x", {}, None),
    ("GET /old/7?consumer_id=c", {}, "GET /old/* 200 c"),
    ("GET /closed/", {}, "GET /closed/* 444 anonymous"),
    ("GET /gone/1", {"Host": "other"}, "GET /gone/1 410 anonymous"),
    ("GET /plain/1?y", {"Host": "other"}, "GET /plain/1 301 anonymous"),
    ("GET /was/1?user_id=u", {"Host": "other"}, "GET /is/* 200 u"),
]


def test_each_request_leaves_its_record(
    nginx: Make, receiver: Receiver, upstream: Upstream
) -> None:
    server = nginx(ROUTES.replace("UPSTREAM", upstream.address) + HOUR).start()
    answers = [ask(server, *line.split(), **headers) for line, headers, _ in TABLE]
    server.stop()
    records = receiver.records()
    assert rows(records) == [record for _, _, record in TABLE if record]
    seen = [answer or 444 for answer, (_, _, record) in zip(answers, TABLE) if record]
    assert [record["status"] for record in records] == seen


def test_times_and_names_are_there(nginx: Make, receiver: Receiver, upstream: Upstream) -> None:
    server = nginx(proxied(upstream) + "malti_set node n7;").start()
    upstream.asked.clear()
    upstream.go_on.clear()
    thread = threading.Thread(target=ask, args=(server, "GET", "/slow"))
    thread.start()
    assert upstream.asked.wait(PATIENCE)
    try:
        # Something to be timed.
        assert not thread.join(0.2)
    finally:
        upstream.go_on.set()
    thread.join()
    server.stop()
    (record,) = receiver.records()
    assert (record["service"], record["node"], record["status"]) == ("edge", "n7", 200)
    assert 190 <= record["response_time"] < PATIENCE * 1000


def test_client_that_leaves_is_499(nginx: Make, receiver: Receiver, upstream: Upstream) -> None:
    server = nginx(proxied(upstream) + EACH).start()
    upstream.asked.clear()
    upstream.go_on.clear()
    with server.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        assert upstream.asked.wait(PATIENCE)
    try:
        assert rows(receiver.wait_for(1)) == ["GET /slow 499 anonymous"]
    finally:
        upstream.go_on.set()


def test_upstream_that_takes_too_long(nginx: Make, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conf = f"""malti on; proxy_read_timeout 200ms; server {{ LISTEN location /silent/ {{
            proxy_pass http://127.0.0.1:{silent.getsockname()[1]}; }} }}"""
        server = nginx(conf).start()
        assert ask(server, "GET", "/silent/") == 504
        server.stop()
    (record,) = receiver.records()
    assert rows([record]) == ["GET /silent/* 504 anonymous"]
    assert 190 <= record["response_time"] < PATIENCE * 1000


def test_request_that_goes_to_the_next_upstream_is_one(
    nginx: Make, receiver: Receiver, upstream: Upstream
) -> None:
    conf = f"""malti on;
        upstream some {{ server unix:nobody.sock max_fails=0; server {upstream.address}; }}
        server {{ LISTEN location /users/ {{ proxy_pass http://some; }} }}"""
    server = nginx(conf).start()
    assert [ask(server, "GET", "/users/7") for _ in range(4)] == [200] * 4
    server.stop()
    assert rows(receiver.records()) == ["GET /users/* 200 anonymous"] * 4
    assert server.log().count("nobody.sock") >= 2


def test_what_is_no_request_leaves_no_record(nginx: Make, receiver: Receiver) -> None:
    server = nginx(OK).start()
    with server.connect():
        pass
    with server.connect() as client:
        client.sendall(b"\x16\x03\x01\x00\x05nonsense\r\n\r\n")
        assert b" 400 " in client.recv(100)
    with server.connect() as client:
        client.sendall(b"GET /bad HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n")
        assert b" 400 " in client.recv(100)
    server.stop()
    assert rows(receiver.records()) == ["GET /bad 400 anonymous"]


def test_upgraded_connection_is_not_recorded(
    nginx: Make, receiver: Receiver, upstream: Upstream
) -> None:
    conf = f"""malti on; server {{ LISTEN location / {{
        proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade; proxy_pass http://{upstream.address}; }} }}"""
    server = nginx(conf).start()
    with server.connect() as client:
        client.sendall(b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got:
            got += client.recv(1000)
        assert b" 101 " in got
        client.sendall(b"hello\n")
        assert client.recv(100) == b"hello\n"
    assert ask(server, "GET", "/plain") == 200
    server.stop()
    assert rows(receiver.records()) == ["GET /plain 200 anonymous"]


def test_http2(nginx: Make, receiver: Receiver) -> None:
    connection = pytest.importorskip("h2.connection")
    events = pytest.importorskip("h2.events")
    conf = "malti on; server { LISTEN location /users/ { return 200 ok; } }"
    server = nginx(conf, http2=True).start()
    talk = connection.H2Connection()
    talk.initiate_connection()
    waiting = set()
    for consumer in ("ann", "bob"):
        stream = talk.get_next_available_stream_id()
        waiting.add(stream)
        head = {":method": "GET", ":scheme": "http", ":authority": "h", ":path": "/users/1"}
        head["x-consumer-id"] = consumer
        talk.send_headers(stream, list(head.items()), end_stream=True)
    with server.connect() as client:
        while waiting:
            client.sendall(talk.data_to_send())
            for event in talk.receive_data(client.recv(65536)):
                if isinstance(event, events.StreamEnded):
                    waiting.discard(event.stream_id)
    server.stop()
    wanted = ["GET /users/* 200 ann", "GET /users/* 200 bob"]
    assert sorted(rows(receiver.records())) == wanted


@pytest.mark.parametrize(
    ("conf", "named"),
    [
        ("malti_set batch_size many;", "batch_size"),
        ("malti_set batch_sice 5;", "batch_size"),
        ("malti_url ftp://nowhere;", "url"),
        ("malti_api_key_file nowhere;", "api_key_file"),
        ("malti_set batch_size;", "malti_set"),
        ("server { malti_url http://localhost; }", "malti_url"),
        ("malti perhaps;", "malti"),
        ("malti_consumer $nowhere;", "nowhere"),
    ],
)
def test_a_bad_setting_fails_the_check(nginx: Make, conf: str, named: str) -> None:
    done = nginx(conf).check()
    assert done.returncode == 1
    assert re.search(rf"\[emerg\] .*{named}", done.stderr), done.stderr


def test_a_good_setting_passes_the_check(nginx: Make, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key\n")
    done = nginx("malti on; malti_set batch_size 7; malti_api_key_file secret;").check()
    assert done.returncode == 0, done.stderr


def test_without_malti_on_nothing_starts(nginx: Make, receiver: Receiver) -> None:
    server = nginx("server { LISTEN location / { return 200; } }").start()
    assert ask(server, "GET", "/") == 200
    server.stop()
    assert receiver.records() == []
    assert "malti:" not in server.log()


def test_what_the_client_says_is_in_the_error_log(nginx: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = nginx(OK + EACH + "malti_set max_retries 0;", url=f"http://127.0.0.1:{port}").start()
    assert ask(server, "GET", "/") == 200
    until("a line", lambda: re.search(r"\[warn\].*malti: cannot deliver", server.log()))
    server.stop()
    assert re.search(r"\[warn\].*malti: records not delivered", server.log()), server.log()


class Load:
    """Clients that ask on, each request with a name of its own, until they are told to stop."""

    def __init__(self, nginx: Nginx, clients: int = 8) -> None:
        self.nginx = nginx
        self.answered: list[str] = []
        self.unanswered: list[str] = []
        #: The last answer on a connection that broke: nginx sends it before it is recorded.
        self.doubtful: set[str] = set()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(number,)) for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _client(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.nginx.port, timeout=PATIENCE)
        count, last = 0, ""
        while not self._over.is_set():
            name = f"c{number}-{count}"
            count += 1
            try:
                connection.request("GET", "/users/1", headers={"X-Consumer-Id": name})
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                self.answered.append(name)
                last = name
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException):
                self.unanswered.append(name)
                self.doubtful.add(last)
                connection.close()
        connection.close()

    def more(self, count: int) -> None:
        """Waits until so many more were answered."""
        wanted = len(self.answered) + count
        until(f"{count} answers", lambda: len(self.answered) >= wanted)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def check(self, records: list[Record]) -> None:
        """Each answer left one record; what was not answered may have left one or not."""
        times = Counter(record["consumer"] for record in records)
        wrong = {name: times[name] for name in self.answered if times[name] != 1}
        assert wrong == {}
        others = times - Counter(self.answered)
        assert others - Counter(self.unanswered) == Counter()


def test_reload_under_load(nginx: Make, receiver: Receiver, upstream: Upstream) -> None:
    server = nginx(proxied(upstream) + HOUR + "keepalive_requests 50;", workers=2).start()
    load = Load(server)
    for _ in range(3):
        before = set(server.workers())
        load.more(100)
        server.send(signal.SIGHUP)
        until(
            "new workers",
            lambda before=before: len(server.workers()) == 2 and not before & set(server.workers()),
        )
    load.more(100)
    load.end()
    server.stop()
    load.check(receiver.records())
    assert len(load.answered) >= 400


def test_a_reload_takes_new_settings(nginx: Make, receiver: Receiver) -> None:
    server = nginx(OK + "malti_set node first;").start()
    assert ask(server, "GET", "/") == 200
    (before,) = server.workers()
    mended = (server.folder / "nginx.conf").read_text().replace("first", "second")
    (server.folder / "nginx.conf").write_text(mended)
    server.send(signal.SIGHUP)
    until("the new worker", lambda: server.workers() and before not in server.workers())
    assert ask(server, "GET", "/") == 200
    server.stop()
    assert sorted(record["node"] for record in receiver.records()) == ["first", "second"]


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM], ids=["quit", "stop"])
def test_end_under_load(
    nginx: Make, receiver: Receiver, upstream: Upstream, number: signal.Signals
) -> None:
    server = nginx(proxied(upstream) + HOUR + "keepalive_requests 50;", workers=2).start()
    load = Load(server)
    load.more(200)
    server.stop(number)
    load.end()
    load.check(receiver.records())
    assert "exited on signal" not in server.log()


def test_killed_worker_leaves_its_records_to_the_next(
    nginx: Make, receiver: Receiver, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    server = nginx(f"{OK} {HOUR} malti_set spool_dir {spool};").start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    # An answer says that the request before it on this connection has been recorded.
    names = [f"c{number}" for number in range(51)]
    for name in names:
        connection.request("GET", "/", headers={"X-Consumer-Id": name})
        connection.getresponse().read()
    until("the durable buffer", lambda: list(spool.glob("malti-*.spool")))
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    until("the next worker", lambda: server.workers() and worker not in server.workers())
    assert ask(server, "GET", "/", X_Consumer_Id="next") == 200
    server.stop()
    times = Counter(record["consumer"] for record in receiver.records())
    assert {name: times[name] for name in [*names[:-1], "next"] if times[name] != 1} == {}


def durable(spool: Path) -> set[int]:
    """The processes that have a durable buffer there, or had one."""
    return {int(file.name.split("-")[1]) for file in spool.glob("malti-*.spool")}


def test_workers_that_are_killed_and_reloaded_under_load(
    nginx: Make, receiver: Receiver, upstream: Upstream, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    conf = f"{HOUR} malti_set spool_dir {spool}; keepalive_requests 1000000;"
    server = nginx(proxied(upstream) + conf, workers=2).start()
    load = Load(server)
    for number in [signal.SIGKILL, signal.SIGHUP, signal.SIGKILL]:
        before = set(server.workers())
        if number == signal.SIGKILL:
            until("a durable buffer", lambda before=before: durable(spool) & before)
            gone = {min(durable(spool) & before)}
            load.more(100)
            os.kill(*gone, number)
        else:
            gone = before
            server.send(number)
        until(
            "new workers",
            lambda gone=gone: len(server.workers()) == 2 and not gone & set(server.workers()),
        )
    load.more(100)
    load.end()
    server.stop()
    # What no worker took over in the meantime.
    server = nginx(OK + conf).start()
    assert ask(server, "GET", "/") == 200
    server.stop()
    recorded = {record["consumer"] for record in receiver.records()}
    assert load.unanswered, "no connection broke"
    assert set(load.answered) - load.doubtful - recorded == set()
    assert list(spool.iterdir()) == []


def test_server_that_hangs_holds_nothing_up(nginx: Make) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        server = nginx(OK + EACH, url=url).start()
        assert [ask(server, "GET", "/") for _ in range(200)] == [200] * 200
        # The worker ends by itself, and says so, before the master kills it.
        server.stop(signal.SIGTERM)
    assert re.search(r"\[warn\].*malti: records not delivered", server.log()), server.log()
    assert "exited on signal" not in server.log()
