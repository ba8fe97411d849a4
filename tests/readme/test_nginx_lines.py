"""The snippets about nginx: the module built, the configurations checked by nginx itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "nginx"))

import serving as nginx_serving
from harness import LIBRARY
from newcomer import BUILD_WITHIN_S, shell
from snippets import ROOT, Where, at

pytestmark = pytest.mark.skipif(
    bool(nginx_serving.missing()), reason=f"needs {nginx_serving.missing()}"
)

BLOCKS: dict[str, Where] = {
    "of the page": ("docs/integrations.md", "nginx", "malti on;"),
    "of the module's page": ("bindings/nginx/README.md", "nginx", "malti on;"),
    "building": ("bindings/nginx/README.md", "sh", "bindings/nginx/build.sh"),
}


def block(name: str) -> str:
    return at(BLOCKS[name])


def test_the_module_is_built_and_takes_each_configuration(tmp_path: Path) -> None:
    for name in ("libmalti.so", "libmalti.so.1"):
        (tmp_path / name).symlink_to(Path(LIBRARY).resolve())
    (tmp_path / "modules").mkdir()
    commands = block("building").replace("/tmp/malti-nginx", f"{tmp_path}/built")
    commands = commands.replace("/usr/lib/nginx/modules/", f"{tmp_path}/modules/")
    libs = f"-L{tmp_path} -Wl,-rpath,{tmp_path} -lmalti"
    include = str(ROOT / "include")
    done = shell(commands, ROOT, BUILD_WITHIN_S, MALTI_INCLUDE=include, MALTI_LIBS=libs)
    assert done.returncode == 0, done.stderr
    module = tmp_path / "modules" / "ngx_http_malti_module.so"
    (tmp_path / "malti.key").write_text("key\n")
    listening = "server { LISTEN location / { return 200; } }"
    for conf in (block("of the page") + listening, block("of the module's page")):
        checked = nginx_serving.Nginx(module, tmp_path, conf).check()
        assert checked.returncode == 0, checked.stderr
