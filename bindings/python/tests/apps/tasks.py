"""Tasks of Celery's, with a folder as the broker. Run as a program, `tasks.py NAME…` asks for one
of each name.
"""

import os
import sys
from pathlib import Path

import celery
import libmalti

FOLDER = Path(os.environ["TEST_FOLDER"])
for name in ("queue", "control"):
    (FOLDER / name).mkdir(exist_ok=True)

app = celery.Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(FOLDER / "queue"),
    "data_folder_out": str(FOLDER / "queue"),
    "control_folder": str(FOLDER / "control"),
    "polling_interval": 0.02,
}


@app.task(name="tasks.work")  # type: ignore[untyped-decorator]
def work(name: str) -> None:
    libmalti.record("TASK", "tasks.work", 200, 1, name, str(os.getpid()))
    (FOLDER / f"{name}.done").touch()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        work.delay(name)
elif "TEST_LOADED" in os.environ:
    # The workers inherit a client that runs.
    libmalti.record("GET", "/loaded", 200, 1, "loaded", str(os.getpid()))
