"""The names of malti-telemetry, as an application that was written for it uses them."""

from harness import Receiver, script


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
