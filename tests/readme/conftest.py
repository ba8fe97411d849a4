"""Where the tests of this folder find their helpers, and those of the Python binding's tests."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

sys.path += [str(HERE), str(HERE.parents[1] / "bindings" / "python" / "tests")]
