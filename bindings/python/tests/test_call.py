"""The builtin `record` and its way round it: the same call, whichever serves it."""

import sys

import pytest
from harness import Receiver, script

CPYTHON = sys.implementation.name == "cpython"
CALLS = ("builtin", "pydll") if CPYTHON else ("pydll",)
needs_cpython = pytest.mark.skipif(not CPYTHON, reason="a builtin is CPython's")

COMMON = """
import gc, http, inspect, pickle, sys, libmalti
from libmalti import record
"""


def run(code: str, call: str, receiver: Receiver, **more: str) -> str:
    done = script(COMMON + code, receiver.url, MALTI_PYTHON_CALL=call, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("call", CALLS)
def test_every_way_to_pass_arguments(receiver: Receiver, call: str) -> None:
    kind = run(
        """
print(type(record).__name__)
assert record("GET", "/1", 200, 1000)
assert record("GET", "/2", http.HTTPStatus.CREATED, 2000, None, None)
assert record("GET", "/3", 200, 3000, "carol", "why")
assert record("GET", "/4", 200, response_time_us=4000, context="named")
assert record(method="GET", endpoint="/5", status=200, response_time_us=5000, consumer="é☃")
assert record("GET", "/6\\ud800", 200, 6000, "\\ud83d\\ude00")
assert record("GET", "/7", 200, 1 << 70)
class Index:
    def __index__(self): return 204
assert record("GET", "/8", Index(), 8000)
assert libmalti.shutdown()
""",
        call,
        receiver,
    )
    assert kind.startswith({"builtin": "builtin_function_or_method", "pydll": "function"}[call])
    found = [
        (r["endpoint"], r["status"], r["response_time"], r["consumer"], r.get("context"))
        for r in receiver.wait_for(8)
    ]
    assert found == [
        ("/1", 200, 1, "anonymous", None),
        ("/2", 201, 2, "anonymous", None),
        ("/3", 200, 3, "carol", "why"),
        ("/4", 200, 4, "anonymous", "named"),
        ("/5", 200, 5, "é☃", None),
        ("/6\ufffd", 200, 6, "\U0001f600", None),
        ("/7", 200, 2147483647, "anonymous", None),
        ("/8", 204, 8, "anonymous", None),
    ]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("arguments", ['"GET", "/"', '"GET", "/", 200, 1, consumers="a"'])
def test_a_wrong_call_names_the_function(receiver: Receiver, call: str, arguments: str) -> None:
    if call == "builtin" and sys.version_info < (3, 10):
        pytest.skip("Python 3.9 names the code, not the function")
    said = run(f"try: record({arguments})\nexcept TypeError as e: print(e)", call, receiver)
    assert said.startswith("record()")


@pytest.mark.parametrize("call", CALLS)
def test_what_is_refused_is_a_typeerror_or_counted(receiver: Receiver, call: str) -> None:
    run(
        """
def refuses(kind, *arguments, **named):
    try: record(*arguments, **named)
    except kind as error: return str(error)
    raise AssertionError(arguments)
assert refuses(TypeError, "GET", "/", 200.0, 1) == "status is a whole number, not float"
assert "response_time_us is a whole number, not str" == refuses(TypeError, "GET", "/", 200, "1")
assert refuses(TypeError, b"GET", "/", 200, 1) == "method is text, not bytes"
assert refuses(TypeError, "GET", None, 200, 1) == "endpoint is text, not NoneType"
assert refuses(TypeError, "GET", "/", 200, 1, 7) == "consumer is text, not int"
refuses(TypeError, "GET", "/", 200)
refuses(TypeError, "GET", "/", 200, 1, None, None, None)
refuses(TypeError, "GET", "/", 200, 1, nonsense=1)
refuses(TypeError)
assert libmalti.init()
for status in (99, 1000, -1, 1 << 40, -1 << 80): assert not record("GET", "/", status, 1)
assert not record("", "/", 200, 1) and not record("GET", "/", 404, 1)
figures = libmalti.stats()
assert (figures["recorded"], figures["invalid"], figures["filtered"]) == (0, 6, 1), figures
from libmalti._context import current
current.set({})
assert not record("GET", "/", 200.0, 1)
assert libmalti.stats()["invalid"] == 7
""",
        call,
        receiver,
    )


@needs_cpython
@pytest.mark.parametrize("call", CALLS)
def test_nothing_leaks_and_no_exception_is_left_behind(receiver: Receiver, call: str) -> None:
    run(
        """
class Text(str): pass
values = [Text("GET"), Text("/é"), Text("who"), Text("\\ud800 why")]
def once():
    record(values[0], values[1], 200, 1 << 40, values[2], values[3])
    record(values[0], values[1], 200, response_time_us=1 << 40, context=values[3])
    try: record(values[0], values[1], 2.5, values[2])
    except TypeError: pass
assert libmalti.init()
once()
counts = [sys.getrefcount(value) for value in values]
blocks = sys.getallocatedblocks()
for _ in range(2000): once()
gc.collect()
assert [sys.getrefcount(value) for value in values] == counts
assert sys.getallocatedblocks() - blocks < 500
""",
        call,
        receiver,
        MALTI_BATCH_SIZE="10000",
    )


@needs_cpython
def test_the_builtin_looks_like_the_function_and_can_be_pickled(receiver: Receiver) -> None:
    looks = "print(inspect.signature(record), record.__name__, record.__module__.split('.')[0])"
    looks += "\nprint(inspect.getdoc(record))"
    builtin, function = (run(looks, call, receiver).splitlines() for call in CALLS)
    names = "(method, endpoint, status, response_time_us, consumer=None, context=None)"
    assert builtin[0] == f"{names} record libmalti"
    assert builtin[1:] == function[1:]
    run("assert pickle.loads(pickle.dumps(record)) is record", "builtin", receiver)


def test_log_lines_arrive_with_the_next_record(receiver: Receiver) -> None:
    text = run(
        """
import logging, time
lines = []
class Keep(logging.Handler):
    def emit(self, line): lines.append(line.getMessage())
logging.getLogger("libmalti").addHandler(Keep())
libmalti.init(url="http://127.0.0.1:1", batch_interval=0.01, retry_delay=0)
until = time.monotonic() + 60
while not lines and time.monotonic() < until:
    record("GET", "/", 404, 1)
    record("GET", "/", 200, 1)
    time.sleep(0.01)
print(lines)
""",
        CALLS[0],
        receiver,
        MALTI_SERVICE_NAME="conf",
    )
    assert "cannot deliver" in text


@needs_cpython
def test_subinterpreters_have_a_builtin_each(receiver: Receiver) -> None:
    run(
        """
try:
    import _interpreters as interpreters
    create = lambda: interpreters.create("legacy")
except ImportError:
    import _xxsubinterpreters as interpreters
    create = lambda: interpreters.create(isolated=False)
code = "import libmalti; assert libmalti.record('GET', '/inner', status=200, response_time_us=1)"
libmalti.init()
assert record("GET", "/outer", 200, 1)
for _ in range(3):
    one = create()
    assert not interpreters.run_string(one, code)
    interpreters.destroy(one)
assert record("GET", "/outer", status=200, response_time_us=1)
libmalti.flush()
""",
        "builtin",
        receiver,
    )
    assert len(receiver.wait_for(5)) == 5


@needs_cpython
def test_another_table_than_the_librarys_falls_back(receiver: Receiver) -> None:
    run(
        """
import os
from libmalti import _call, _library
known, module = _library.python_methods, sys.modules["libmalti._record"]
assert not known(None, 0, b"")
# A binding that hands over one function less, as an older one would.
_library.python_methods = lambda table, count, doc: known(table, count - 1, doc)
del os.environ["MALTI_PYTHON_CALL"]
assert _call.builtins(module, "()", "") is None
os.environ["MALTI_PYTHON_CALL"] = "builtin"
try: _call.builtins(module, "()", "")
except ImportError as error: assert "other functions" in str(error)
else: raise AssertionError
""",
        "builtin",
        receiver,
    )


def test_threads_record_through_it_at_once(receiver: Receiver) -> None:
    run(
        """
import threading
libmalti.init()
def work(name):
    for i in range(5000): record("GET", "/threads", 200, i, name)
threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert libmalti.stats()["recorded"] == 40000
""",
        CALLS[0],
        receiver,
        MALTI_BUFFER_SIZE="50000",
        MALTI_BATCH_SIZE="10000",
    )


def test_an_interrupt_inside_is_not_swallowed(receiver: Receiver) -> None:
    code = """
import libmalti
class Evil:
    def __index__(self): raise KeyboardInterrupt
libmalti.init()
libmalti.record("GET", "/", Evil(), 1)
"""
    done = script(code, receiver.url)
    assert "KeyboardInterrupt" in done.stderr and done.returncode != 0


@needs_cpython
def test_a_scope_is_recorded_the_same_whichever_way(receiver: Receiver) -> None:
    run("import scopes", "builtin", receiver)


def test_an_exchange_goes_the_same_whichever_way(receiver: Receiver) -> None:
    run("import exchanges", "builtin", receiver)
