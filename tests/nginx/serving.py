"""nginx with the module: built by Debian's headers, run in a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# The helpers of the Python binding's tests.
sys.path.append(str(Path(__file__).resolve().parents[2] / "bindings" / "python" / "tests"))

from harness import LIBRARY, PATIENCE, ROOT, until

BUILD = ROOT / "bindings" / "nginx" / "build.sh"
HEADERS = Path("/usr/share/nginx/src/conf_flags")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
MAIN = """
load_module {module};
worker_processes {workers};
user {user};
daemon off;
pid nginx.pid;
error_log error.log info;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    access_log off;
    {conf}
}}
"""


def missing() -> str:
    """What the module can't be built or run without; empty: all is here."""
    return "" if NGINX and HEADERS.is_file() else "nginx and nginx-dev"


def build(folder: Path) -> Path:
    """The module, linked with the library that is tested."""
    for name in ("libmalti.so", "libmalti.so.1"):
        (folder / name).symlink_to(Path(LIBRARY).resolve())
    libs = f"-L{folder} -Wl,-rpath,{folder} -lmalti"
    env = {**os.environ, "MALTI_INCLUDE": str(ROOT / "include"), "MALTI_LIBS": libs}
    done = subprocess.run([BUILD, folder], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "ngx_http_malti_module.so"


class Nginx:
    """A master with its workers. `conf` is what stands in http; its servers listen on LISTEN."""

    def __init__(
        self, module: Path, folder: Path, conf: str, workers: int = 1, http2: bool = False
    ) -> None:
        self.folder = folder
        # Its listening socket is ours, and comes to it as to the next binary of an upgrade: nginx
        # can't be asked for a free port.
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)  # as nginx makes its own, and takes for granted
        self.port: int = self._listener.getsockname()[1]
        self._form = {"module": module, "workers": workers, "user": getpass.getuser()}
        self._listen = f"listen 127.0.0.1:{self.port}{' http2' if http2 else ''};"
        self.configure(conf)
        self.master: subprocess.Popen[bytes] | None = None

    def configure(self, conf: str) -> None:
        text = MAIN.format(conf=conf.replace("LISTEN", self._listen), **self._form)
        (self.folder / "nginx.conf").write_text(text)

    def _command(self, *more: str) -> list[str]:
        assert NGINX
        where = ["-p", str(self.folder), "-c", "nginx.conf", "-e", "error.log"]
        return [NGINX, *where, *more]

    def check(self) -> subprocess.CompletedProcess[str]:
        """nginx -t."""
        return subprocess.run(self._command("-t"), capture_output=True, text=True, check=False)

    def start(
        self,
        under: Sequence[str] = (),
        errors: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Nginx:
        """`under` a tool it is a single process; `errors` takes the standard error; without `env`
        it has this process's, but no settings."""
        if env is None:
            env = {k: v for k, v in os.environ.items() if not k.startswith("MALTI_")}
        number = self._listener.fileno()
        command = self._command()
        if under:
            # A single process that was handed a socket crashes (nginx 1.22): it opens its own.
            self._listener.close()
            command = [*under, *command, "-g", "master_process off;"]
        self.master = subprocess.Popen(
            command,
            env=env if under else {**env, "NGINX": f"{number};"},
            pass_fds=[] if under else [number],
            stdin=subprocess.DEVNULL,
            stderr=errors,
        )
        # From now on it is nginx's alone: who connects after its end is refused.
        self._listener.close()
        until("nginx", lambda: self.ended() or (self.listens() if under else self.workers()))
        assert not self.ended(), self.log()
        return self

    def listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def ended(self) -> bool:
        return self.master is None or self.master.poll() is not None

    def workers(self) -> list[int]:
        """The processes that take requests."""
        assert self.master
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                status = (process / "stat").read_text()
                title = (process / "cmdline").read_bytes()
            except OSError:
                continue
            parent = int(status.rpartition(")")[2].split()[1])
            if parent == self.master.pid and title.rstrip(b"\0") == b"nginx: worker process":
                found.append(int(process.name))
        return found

    def send(self, number: signal.Signals) -> None:
        assert self.master
        self.master.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Gracefully, unless another signal is given."""
        self.send(number)
        assert self.master and self.master.wait(PATIENCE) == 0, self.log()

    def kill(self) -> None:
        """What is left of it when a test fails."""
        if self.ended():
            return
        workers = self.workers()
        assert self.master
        self.master.kill()
        self.master.wait()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)

    def log(self) -> str:
        file = self.folder / "error.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)
