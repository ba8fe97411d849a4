"""The cases that every language runs, through the C API as this binding declares it."""

import json
from typing import Any

import pytest
from harness import ROOT
from libmalti import _library
from libmalti._client import Config

VECTORS = ROOT / "tests" / "vectors"


def cases(name: str) -> list[Any]:
    found: list[Any] = json.loads((VECTORS / name).read_text("utf-8"))
    return found


def raw(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else str(value).encode()


@pytest.mark.parametrize("case", cases("consumer.json"), ids=lambda case: case["name"])
def test_consumer(case: dict[str, Any]) -> None:
    config = Config(case["config"])
    headers = b"".join(raw(part) + b"\0" for pair in case["headers"] for part in pair)
    state = None if case["state"] is None else raw(case["state"])
    query, peer = raw(case["query"]), raw(case["peer"])
    if "expect" in case:
        found = _library.whole(
            _library.resolve_consumer,
            *(config.pointer, state, len(state or b""), headers, len(headers)),
            *(query, len(query), peer, len(peer)),
        )
        assert found == case["expect"]
    if "expect_context" in case:
        context = _library.whole(_library.resolve_context, config.pointer, headers, len(headers))
        assert (context or None) == case["expect_context"]
    assert "expect" in case or "expect_context" in case


@pytest.mark.parametrize("case", cases("route.json"), ids=lambda case: str(case["pattern"])[:60])
def test_route(case: dict[str, Any]) -> None:
    pattern = case["pattern"].encode()
    found = _library.whole(
        _library.normalize_route, case["dialect"].encode(), pattern, len(pattern)
    )
    assert found == case["expect"]


def test_an_unknown_dialect_is_an_error() -> None:
    assert _library.whole(_library.normalize_route, b"klingon", b"/a", 2) is None
