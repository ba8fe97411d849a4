"""The runner sees what is wrong with an app, and says it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
RUN = [sys.executable, str(HERE / "run.py")]
AT_A_TIME = 4

SLOW = """
[right.slow]
response_time = [9500, 60000]
because = "the server tells it to nobody"
"""
# What each wrong app is blamed for: parts of a line of the output.
WRONG = {
    "endpoint": ["clean mode, files: expected GET /files/{path} 200", "got GET /files/{rest} 200"],
    "missing": ["clean mode, renamed: expected one record (GET /custom/{x} 200", ", got none"],
    "double": ["clean mode, renamed: expected one record", "ms and GET /custom/{x} 200"],
    "stranger": ["clean mode, strangers: records that nothing asked for: GET /nobody 200"],
    "status": ["clean mode, code-403: expected GET /code/{code} 403", "got GET /code/{code} 402"],
    "answer": ["clean mode, code-403: expected the answer's status to be 403, got 402"],
    "body": ["receiver down, renamed: expected the answer of the app without telemetry", "RENAMED"],
    "header": ["receiver down, renamed: expected the answer of the app without", "x-telemetry: on"],
    "swallowed": ["receiver down, boom: expected the answer of the app without telemetry", "sorry"],
    "late": ["clean mode, sigterm: expected the end within 5.0 s, took "],
    "ledger": ["clean mode, ledger: its two sides are not equal"],
    "ledger-missing": ["clean mode, run: no ledger in CONFORMANCE_STATS"],
    "lost": ["clean mode, ledger: expected ", "dropped_shutdown"],
    "node": ["clean mode, settings: a record of conf on n2"],
    "not-ready": ["clean mode, run: the app's first line is 'hello', not READY <port>"],
}
