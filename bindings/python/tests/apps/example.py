"""Serves an example, `EXAMPLE=file:name`, as it stands there."""

import importlib
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples"))
module, _, name = os.environ["EXAMPLE"].partition(":")
app = getattr(importlib.import_module(module), name)

if name.startswith("async"):
    import serving

    serving.run(app)
else:
    import wsgi_serving

    wsgi_serving.run(app)
