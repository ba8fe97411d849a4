"""The snippets about Go, each as it stands there in a program that is built, served and asked."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Process, Receiver, environment, until
from newcomer import BUILD_WITHIN_S, fetch, free_port, shell
from snippets import ROOT, Where, at

BLOCKS: dict[str, Where] = {
    "net/http": ("docs/integrations.md", "go", "mux := "),
    "chi": ("docs/integrations.md", "go", "r := chi."),
    "gin": ("docs/integrations.md", "go", "r := gin."),
    "echo": ("docs/integrations.md", "go", "e := "),
    "gorilla": ("docs/integrations.md", "go", "router := "),
    "fiber": ("docs/integrations.md", "go", "app := "),
    "the binding's page": ("bindings/go/README.md", "go", "import malti"),
}
# What stands behind the snippets of the page on integrations, each in a function of its own.
AFTER = {
    "net/http": "serving.Main(server.Handler)",
    "chi": 'r.Get("/users/{user_id}", user)\nserving.Main(r)',
    "gin": """r.GET("/users/:user_id", func(c *gin.Context) { c.String(200, "ok") })
serving.Main(r)""",
    "echo": """e.GET("/users/:user_id", func(c echo.Context) error { return c.String(200, "ok") })
serving.Main(e)""",
    "gorilla": 'router.HandleFunc("/users/{user_id}", user)\nserving.Main(server.Handler)',
    "fiber": """app.Get("/users/:user_id", func(c fiber.Ctx) error { return c.SendString("ok") })
serving.Run(func(listener net.Listener) error {
	return app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
}, app.ShutdownWithContext)""",
}
HEAD = """package main

import (
	"conformance/serving"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	malti "github.com/libmalti/malti-go"
	maltichi "github.com/libmalti/malti-go/chi"
	maltiecho "github.com/libmalti/malti-go/echo"
	maltifiber "github.com/libmalti/malti-go/fiber"
	maltigin "github.com/libmalti/malti-go/gin"
	maltigorilla "github.com/libmalti/malti-go/gorilla"
)

func user(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }

func main() { programs[os.Args[1]]() }

"""
WHOLE_HEAD = """package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/signal"
	"syscall"
	"time"
)

"""
WHOLE_END = """
func user(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		panic(err)
	}
}
"""


def program() -> str:
    functions = ",\n".join(
        f'"{name}": func() {{\n{at(BLOCKS[name])}\n{after}\n}}' for name, after in AFTER.items()
    )
    return f"{HEAD}var programs = map[string]func(){{\n{functions},\n}}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder with both programs, and the port that the second one listens on."""
    if not shutil.which("go"):
        if os.environ.get("CI") == "true":
            pytest.fail("go is not installed")
        pytest.skip("go is not installed (make doctor)")
    folder = tmp_path_factory.mktemp("go")
    # The module of the conformance suite's apps has all routers.
    apps = ROOT / "tests" / "conformance" / "apps" / "go"
    module = (apps / "go.mod").read_text("utf-8")
    module = re.sub(r"=> (\.\S+)", lambda found: f"=> {(apps / found[1]).resolve()}", module)
    (folder / "go.mod").write_text(module, "utf-8")
    shutil.copy(apps / "go.sum", folder)
    shutil.copytree(apps / "serving", folder / "serving")
    port = free_port()
    whole = at(BLOCKS["the binding's page"])
    assert whole.count(":8080") == 1
    whole = whole.replace(":8080", f"127.0.0.1:{port}")
    for name, text in (("lines", program()), ("whole", f"{WHOLE_HEAD}{whole}{WHOLE_END}")):
        (folder / name).mkdir()
        (folder / name / "main.go").write_text(text, "utf-8")
    build = "go build -tags malti_dev -o built/ ./lines ./whole"
    done = shell(build, folder, BUILD_WITHIN_S, GOTOOLCHAIN="local", GOWORK="off")
    assert done.returncode == 0, done.stderr
    return folder / "built", port


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    process = Receiver()
    yield process
    process.kill()


@pytest.mark.parametrize("name", BLOCKS)
def test_each_snippet_records_its_route(
    name: str, built: tuple[Path, int], receiver: Receiver
) -> None:
    folder, port = built
    command = [str(folder / "whole")] if name not in AFTER else [str(folder / "lines"), name]
    server = Process(command, environment(receiver.url))
    try:
        endpoint = "/users/{user_id}"
        if name in AFTER:
            line = server.line()
            while not line.startswith("READY "):  # what a router has to say
                line = server.line()
            port = int(line.split()[1])
        else:
            endpoint = "/users/{id}"
            until("the program", lambda: answers(server, port))
        assert fetch(f"http://127.0.0.1:{port}/users/7")[1] == b"ok"
        records = receiver.wait_for(1)
        assert {record["endpoint"] for record in records} == {endpoint}
        assert server.stop() == 0
    finally:
        server.kill()


def answers(server: Process, port: int) -> bool:
    assert server.child.poll() is None, "".join(server.errors)
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
