"""The names of malti-telemetry, as an application that was written for it uses them."""

import json
import subprocess
import sys
from typing import Any, Optional

import old
import pytest
import reference
from harness import HERE, PATIENCE, App, Receiver, script
from malti_telemetry.utils import anonymize_ip, extract_ip_from_forwarded_for, is_valid_ip

# What is public in 1.0.4; `reference.py` tells how it was found.
NAMES: dict[str, Any] = json.loads((HERE / "reference.json").read_text("utf-8"))


def goes_on_working(theirs: list[str], ours: list[str]) -> bool:
    """Whether each call that the one takes is one that the other takes."""
    added = ours[len(theirs) :]
    return ours[: len(theirs)] == theirs and all(
        each.startswith("**") or (each.startswith("*, ") and "=" in each) for each in added
    )


def test_a_parameter_that_is_added_must_be_a_keyword() -> None:
    assert goes_on_working(["a", "b=1"], ["a", "b=1", "*, c=None", "**rest"])
    for other in (["a"], ["a", "b=2"], ["b=1", "a"], ["a", "b=1", "c=2"], ["a", "b=1", "*, c"]):
        assert not goes_on_working(["a", "b=1"], other), other


@pytest.mark.parametrize("module", reference.MODULES)
def test_every_name_is_there_with_its_parameters(module: str) -> None:
    ours = reference.describe()
    assert len(NAMES[module]) >= 4
    for name, theirs in NAMES[module].items():
        found = ours[module][name]
        if isinstance(theirs, list):
            assert goes_on_working(theirs, found), name
            continue
        for member, parameters in theirs.items():
            assert member in found, (name, member)
            if parameters is not None:
                assert goes_on_working(parameters, found[member]), (name, member)
    assert sys.modules["malti_telemetry"].__all__


def test_objects_have_the_attributes_that_they_had() -> None:
    ours = reference.describe()
    assert ours["statistics"] == NAMES["statistics"]
    for name, theirs in NAMES["instances"].items():
        assert set(theirs) <= set(ours["instances"][name]), name


def test_the_names_are_those_of_the_real_package() -> None:
    command = [sys.executable, str(HERE / "reference.py")]
    done = subprocess.run(
        command,
        env=old.with_it("http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(done.stdout) == NAMES


def documented(app: App, receiver: Receiver) -> list[tuple[Any, ...]]:
    assert app.request("GET", "/users/7")[0] == 200
    assert app.request("GET", "/users/7000", None, {"X-Forwarded-For": "203.0.113.7"})[0] == 200
    assert app.request("GET", "/users/8", None, {"User-Id": "u1"})[0] == 200
    assert app.request("GET", "/users/8?state", None, {"User-Id": "u1"})[0] == 200
    assert app.request("GET", "/users/x")[0] == 422
    assert app.request("GET", "/nope")[0] == 404
    statistics = json.loads(app.request("GET", "/manual")[1])
    app.stop()
    assert statistics["total_added"] == 6 and statistics["service_name"] == "documented"
    names = ("service", "node", "method", "endpoint", "status", "consumer", "context")
    return [tuple(record[name] for name in names) for record in receiver.records()]


def test_what_its_readme_shows_runs_and_gives_the_same(receiver: Receiver) -> None:
    found = documented(App("documented", receiver.url, MALTI_BATCH_SIZE="500"), receiver)
    whose = ("documented", "prod-web-01", "GET")

    def user(consumer: str, context: Optional[str], status: int = 200) -> tuple[Any, ...]:
        return (*whose, "/users/{user_id}", status, consumer, context)

    assert found == [
        user("127.0.0.xxx", "legacy"),
        user("203.0.113.xxx", "current"),
        user("u1", "legacy"),
        user("app", "legacy"),
        user("127.0.0.xxx", None, 422),
        (*whose, "/api/custom", 200, "custom-client", "manual-recording"),
        (*whose, "/manual", 200, "127.0.0.xxx", None),
    ]
    other = Receiver()
    try:
        app = App("documented", other.url, **old.with_it(other.url))
        # Its README shows `request.state.context`, but it reads another name.
        seen = documented(app, other)
        assert [record[:-1] for record in seen] == [record[:-1] for record in found]
    finally:
        other.kill()


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("192.168.1.100", "192.168.1.xxx"),
        ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:0db8:85a3:08d3:xxxx:xxxx:xxxx:xxxx"),
        ("::1", "0000:0000:0000:0000:xxxx:xxxx:xxxx:xxxx"),
        # These three it does not mask, or not rightly.
        ("::ffff:203.0.113.7", "203.0.113.xxx"),
        ("fe80::1%eth0", "fe80:0000:0000:0000:xxxx:xxxx:xxxx:xxxx"),
        ("203.0.113.7:8080", "203.0.113.xxx"),
        ("unknown", "unknown"),
        ("anonymous", "anonymous"),
        ("", ""),
    ],
)
def test_masked_addresses(address: str, masked: str) -> None:
    assert anonymize_ip(address) == masked


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    # The settings of the process are for its requests, not for these.
    monkeypatch.setenv("MALTI_IP_ANONYMIZE", "true")
    monkeypatch.setenv("MALTI_TRUSTED_PROXIES", "10.0.0.0/8")
    assert extract_ip_from_forwarded_for("203.0.113.7, 10.0.0.1") == "203.0.113.7"
    assert extract_ip_from_forwarded_for(" 2001:db8::1 ") == "2001:db8::1"
    assert extract_ip_from_forwarded_for("203.0.113.7:8080") == "203.0.113.7"
    assert extract_ip_from_forwarded_for(" , 203.0.113.7") == "203.0.113.7"
    for header in ("", "unknown, 203.0.113.7", "999.1.1.1", "\0"):
        assert extract_ip_from_forwarded_for(header) is None, header
    assert is_valid_ip("203.0.113.7") and is_valid_ip("::1")
    for text in ("", "203.0.113.7:80", "203.0.113", "host"):
        assert not is_valid_ip(text), text


def test_the_old_classes_stand_for_the_client(receiver: Receiver) -> None:
    done = script(
        """
import asyncio
from datetime import datetime, timedelta, timezone
from malti_telemetry import *
from malti_telemetry.core import logger

def record(endpoint, **more):
    return TelemetryRecord("other", "GET", endpoint, 200, 12, "me", **more)

sender = BatchSender()
sender.batch_interval = 30.0
sender.clean_mode = False
assert (sender.batch_interval, sender.clean_mode, sender.batch_size) == (30.0, False, 500)
assert sender.has_api_key() and "key" not in sender.api_key
assert sender.ingest_endpoint == sender.malti_url + "/api/v1/ingest"
assert sender.overflow_threshold == 22500 and sender.buffer.maxlen == 25000
assert not sender.running and not sender.should_ignore_status(404)

async def main():
    await sender.start()
    assert sender.running and get_telemetry_system().batch_sender.running
    summer = datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    sender.add_record(record("/a", node="elsewhere", context="ctx", created_at=summer))
    collector = TelemetryCollector(sender)
    assert (collector.service_name, collector.node) == ("conf", "n1")
    collector.record_request("POST", "/b", 404, 3, "you")
    sender.buffer.add(record("/c"))
    assert sender.buffer.size() == 3 and not sender.buffer.is_empty()
    assert sender.buffer.get_batch(10) == []
    sender.buffer.update_stats(sent=9)
    assert sender.buffer.get_stats()["total_added"] == 3
    assert collector.get_stats() == sender.get_stats() == TelemetrySystem().get_stats()
    # Whoever stops delivers, and the client goes on while somebody else has started it.
    await TelemetrySystem().stop()
    assert sender.get_stats()["total_sent"] == 3 and sender.running
    await sender.stop()
    assert not sender.running

asyncio.run(main())
""",
        receiver.url,
        MALTI_BATCH_SIZE="500",
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = ("service", "node", "method", "endpoint", "status", "response_time", "context")
    first, *rest = receiver.records()
    assert first["created_at"] == "2024-07-01T10:00:00.000000Z"
    assert [tuple(record[name] for name in names) for record in (first, *rest)] == [
        ("conf", "n1", "GET", "/a", 200, 12, "ctx"),
        ("conf", "n1", "POST", "/b", 404, 3, None),
        ("conf", "n1", "GET", "/c", 200, 12, None),
    ]


def test_a_record_as_a_value() -> None:
    done = script(
        """
import asyncio, sys
had = "dataclasses" in sys.modules
import malti_telemetry
assert had or "dataclasses" not in sys.modules
import dataclasses
from malti_telemetry import TelemetryRecord
from malti_telemetry.core import TelemetryRecord as same
assert TelemetryRecord is same and not hasattr(malti_telemetry, "nothing")
one = TelemetryRecord("s", "GET", "/", 200, 1, "c")
assert one == dataclasses.replace(one) and one != dataclasses.replace(one, node="n")
fields = one.to_dict()
assert fields.pop("created_at").endswith("+00:00")
assert fields == dict(service="s", method="GET", endpoint="/", status=200, response_time=1,
                      consumer="c", node=None, context=None)
""",
        "http://127.0.0.1:9",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_buffer_of_ones_own_holds_and_sends_nothing(receiver: Receiver) -> None:
    done = script(
        """
from malti_telemetry import TelemetryBuffer, TelemetryRecord, get_malti_stats
buffer = TelemetryBuffer(max_size=3)
records = [TelemetryRecord("s", "GET", f"/{n}", 200, 1, "c") for n in range(5)]
for record in records:
    buffer.add(record)
assert buffer.maxlen == buffer.size() == 3 and not buffer.is_empty()
assert buffer.get_batch(2) == records[2:4] and buffer.get_batch(2) == records[4:]
buffer.update_stats(sent=2, failed=1)
assert buffer.is_empty() and buffer.get_stats() == dict(
    total_added=5, total_sent=2, total_failed=1, current_size=0, max_size=3)
assert TelemetryBuffer().maxlen == 10000
assert get_malti_stats()["total_added"] == 0
""",
        receiver.url,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.records() == []


def test_record_request_never_raises(receiver: Receiver) -> None:
    done = script(
        """
import http
from malti_telemetry import get_malti_stats, get_telemetry_system
import libmalti
record = get_telemetry_system().record_request
record("GET", "/a", http.HTTPStatus.CREATED, 12.9, None)
record("GET", "/b", "200", "7", 42, 1.5)
for wrong in (None, "soon", float("nan"), float("inf"), []):
    record("GET", "/c", 200, wrong, "me")
    record("GET", "/c", wrong, 1, "me")
record("GET", "/c", 20, 1, "me")
assert libmalti.stats()["invalid"] == 11, libmalti.stats()
""",
        receiver.url,
        MALTI_BATCH_SIZE="500",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("not recorded") == 1, done.stderr
    names = ("endpoint", "status", "response_time", "consumer", "context")
    assert [tuple(record[name] for name in names) for record in receiver.records()] == [
        ("/a", 201, 12, "anonymous", None),
        ("/b", 200, 7, "42", "1.5"),
    ]


def test_manual_records_are_in_milliseconds(receiver: Receiver) -> None:
    done = script(
        """
import asyncio
from malti_telemetry import get_telemetry_system
from malti_telemetry.core import get_telemetry_system as same
async def main():
    system = get_telemetry_system()
    assert system is same()
    await system.start()
    await system.start()
    system.record_request(
        method="GET",
        endpoint="/api/custom",
        status=200,
        response_time=150,
        consumer="custom-client",
        context="manual-recording",
    )
    system.record_request("PUT", "/p", 201, 7, "positional")
    await system.stop()
    await system.stop()
    assert system.get_stats()["running"] is False
asyncio.run(main())
""",
        receiver.url,
        MALTI_BATCH_SIZE="500",
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = ("method", "endpoint", "status", "response_time", "consumer", "context")
    assert [tuple(record[name] for name in names) for record in receiver.records()] == [
        ("GET", "/api/custom", 200, 150, "custom-client", "manual-recording"),
        ("PUT", "/p", 201, 7, "positional", None),
    ]


def test_configure_malti_holds_before_the_start_and_not_after(receiver: Receiver) -> None:
    done = script(
        """
from malti_telemetry import configure_malti, get_malti_stats, get_telemetry_system
from malti_telemetry.utils import configure_malti as same
import os
assert configure_malti is same
url = os.environ["MALTI_URL"]
configure_malti(service_name="first", node="nx", clean_mode=False, batch_size=0, malti_url=url)
before = get_malti_stats()
assert before["running"] is False and before["service_name"] == "first", before
get_telemetry_system().record_request("GET", "/a", 404, 1, "me")
configure_malti(service_name="late")
configure_malti(service_name="later")
assert get_malti_stats() == {
    "total_added": 1,
    "total_sent": 0,
    "total_failed": 0,
    "current_size": 1,
    "max_size": 25000,
    "service_name": "first",
    "node": "nx",
    "running": True,
    "malti_url": url,
    "clean_mode": False,
}, get_malti_stats()
""",
        receiver.url,
        MALTI_BATCH_SIZE="500",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no effect") == 1
    (record,) = receiver.records()
    assert (record["service"], record["node"], record["status"]) == ("first", "nx", 404)
