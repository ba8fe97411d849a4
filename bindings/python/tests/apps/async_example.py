"""Serves the example that `TEST_EXAMPLE` names."""

import importlib
import os
import sys
from pathlib import Path

import serving

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
name = os.environ["TEST_EXAMPLE"]
app = importlib.import_module(f"{name}_app").app
{"aiohttp": serving.run_aiohttp, "sanic": serving.run_sanic}.get(name, serving.run)(app)
