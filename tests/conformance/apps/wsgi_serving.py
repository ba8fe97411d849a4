"""Serves a WSGI application under waitress until SIGTERM."""

from __future__ import annotations

import signal
import sys
from typing import Any

import serving
import waitress


def run(app: Any) -> None:
    # waitress knows no signals: it ends in good order on SystemExit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # The look-ahead is what makes it notice clients that leave.
    waitress.serve(
        app, sockets=[serving.listen()], threads=100, channel_request_lookahead=1, _quiet=True
    )
