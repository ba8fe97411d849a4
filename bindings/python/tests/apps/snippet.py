"""Serves the snippet of the README, taken from there, with one route."""

import re
from pathlib import Path

import serving

readme = Path(__file__).resolve().parents[2] / "README.md"
snippet = re.search(r"```python\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
assert snippet is not None
names: dict[str, object] = {}
exec(snippet[1], names)
app = names["app"]


@app.get("/hello/{name}")  # type: ignore[attr-defined,untyped-decorator]
def hello(name: str) -> str:
    return name


serving.run(app)
