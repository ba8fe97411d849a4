"""Fixtures. Each test has a receiver of its own, so that tests can run side by side."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytest imports these files by path, and they share one module.
sys.path.append(str(Path(__file__).parent))

from conversation import Conversation
from harness import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    process = Receiver()
    yield process
    process.kill()


@pytest.fixture(scope="class")
def talk(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """For a class of `contract.py`: with its server."""
    conversation = Conversation(request.cls.name, **request.cls.settings)
    yield conversation
    conversation.end()
