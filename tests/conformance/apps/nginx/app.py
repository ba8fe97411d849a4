"""nginx with its module, before the suite's app in C: `app.py MODULE PRELOADED APP` runs them.

The app behind is without telemetry, as what stands behind nginx is.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "nginx"))

import serving

HERE = Path(__file__).resolve().parent
module, preloaded, app = sys.argv[1:]


def main() -> int:
    bare = {**os.environ, "CONFORMANCE_BARE": "1"}
    behind = subprocess.Popen([app], env=bare, stdout=subprocess.PIPE, text=True)
    with behind, tempfile.TemporaryDirectory() as folder:
        assert behind.stdout is not None
        port = behind.stdout.readline().removeprefix("READY ").strip()
        conf = (HERE / "nginx.conf").read_text().replace("APP", f"127.0.0.1:{port}")
        if os.environ.get("CONFORMANCE_BARE") == "1":
            conf = re.sub(r"^\s*malti(_\w+)? .*;$", "", conf, flags=re.MULTILINE)
        nginx = serving.Nginx(Path(module), Path(folder), conf)
        try:
            nginx.start(env={**os.environ, "LD_PRELOAD": preloaded})
            # Not before, for children begin with what is blocked here.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            print("READY", nginx.port, flush=True)
            signal.sigwait({signal.SIGTERM})
            nginx.stop()
        finally:
            nginx.kill()
            behind.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
