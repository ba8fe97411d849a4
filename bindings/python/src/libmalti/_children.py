"""The end of a child of multiprocessing, and of a worker of Celery's.

Where a child was forked it leaves by `os._exit`, and no atexit hook of its parent's runs (before
Python 3.13 none at all); but what is registered as a finalizer of multiprocessing does. A worker of
Celery's leaves without even that, but a signal of Celery's own comes first. Everything here looks
at modules that are loaded already: without multiprocessing there is no such child, and importing it
would take longer than we do.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable

# Below every other finalizer, for those may record.
_LAST = -sys.maxsize


class Ending:
    """Calls `end` at the end of this process's children, and of this process if it is one. Threads
    of the child that go on after its function are waited for, as the child itself does.
    """

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end
        self._followed = False
        self._signalled = False
        self._finalizer: Any = None

    def follow(self) -> None:
        """To be called in every process that may record: where the client starts, and in a child
        after a fork. Costs nothing the second time.
        """
        signals = sys.modules.get("celery.signals")
        if signals is not None and not self._signalled:
            self._signalled = True
            signals.worker_process_shutdown.connect(self._signal, weak=False)
        util = sys.modules.get("multiprocessing.util")
        if util is None:
            return
        if not self._followed:
            self._followed = True
            # A child begins by forgetting its parent's finalizers; then it calls this.
            util.register_after_fork(self, Ending._register)
        if sys.modules["multiprocessing.process"].parent_process() is not None:
            self._register()

    def _register(self) -> None:
        # A spawned child ends as every program does, and atexit comes later than a finalizer.
        method = sys.modules["multiprocessing"].get_start_method(allow_none=True)
        active = self._finalizer is not None and self._finalizer.still_active()
        if method == "spawn" or active:
            return
        util = sys.modules["multiprocessing.util"]
        if util.is_exiting():
            self._wait()
        else:
            self._finalizer = util.Finalize(None, self._finalize, exitpriority=_LAST)

    def _signal(self, **_: object) -> None:
        self._end()

    def _finalize(self) -> None:
        # Before Python 3.13 finalizers run while threads of the child still do.
        if not (_others() and self._wait()):
            self._end()

    def _wait(self) -> bool:
        """False: no thread is to be had."""
        try:
            # The child waits for this thread as well, for it is no daemon.
            threading.Thread(target=self._after_the_others, name="malti-exit").start()
        except RuntimeError:
            return False
        return True

    def _after_the_others(self) -> None:
        while True:
            others = _others()
            if not others:
                break
            for thread in others:
                thread.join()
        self._end()


def _others() -> list[threading.Thread]:
    """The threads that the end of the process waits for."""
    spared = threading.main_thread(), threading.current_thread()
    return [t for t in threading.enumerate() if not t.daemon and t not in spared]
