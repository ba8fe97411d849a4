"""Requests to a server with the middleware, and the records that they leave at a receiver."""

import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Callable

from harness import PATIENCE, App, Receiver, until


class Conversation:
    """A receiver, a server of `apps/`, and what arrives at the one because of the other."""

    def __init__(self, name: str, **settings: str) -> None:
        self.server = settings.get("TEST_SERVER", "")
        self.receiver = Receiver()
        try:
            self.app = App(name, self.receiver.url, **settings)
        except BaseException:
            self.receiver.kill()
            raise
        self._seen = 0
        self._marks = count()

    def records_of(self, talk: Callable[[App], Any]) -> list[dict[str, Any]]:
        """What arrives because of `talk`. A last request with a name of its own shows that all has:
        one thread's records are sent in their order.
        """
        talk(self.app)
        mark = f"mark-{next(self._marks)}"
        self.app.request("GET", f"/users/0?consumer_id={mark}")

        def marked() -> list[dict[str, Any]]:
            found = self.receiver.records(self._seen)
            return found if any(record["consumer"] == mark for record in found) else []

        found = until("the mark", marked)
        self._seen = found[-1]["id"]
        return [record for record in found if record["consumer"] != mark]

    def record_when(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The one new record, which may take its time."""
        found = until("a record", lambda: self.receiver.records(self._seen))
        self._seen = found[-1]["id"]
        assert [condition(record) for record in found] == [True], found
        record: dict[str, Any] = found[0]
        return record

    def record_while(self, talk: Callable[[App], Any]) -> dict[str, Any]:
        """The one record that `talk` leaves, which may arrive before it has ended."""
        with ThreadPoolExecutor(1) as pool:
            talking = pool.submit(talk, self.app)
            record = self.record_when(lambda record: True)
            talking.result()
        return record

    def one(self, *request: Any) -> dict[str, Any]:
        found = self.records_of(lambda app: app.request(*request))
        assert len(found) == 1, found
        record = found[0]
        assert (record["service"], record["node"]) == ("conf", "n1")
        return record

    def end(self) -> None:
        self.app.stop()
        self.receiver.kill()


def shape(record: dict[str, Any]) -> tuple[str, str, int, str]:
    return record["method"], record["endpoint"], record["status"], record["consumer"]


def send(app: App, method: str, target: str, more: str = "\r\n") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", app.port), PATIENCE)
    connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{more}".encode())
    return connection
