"""The pages as a site: Sphinx takes the Markdown as it stands, and warnings are errors.

docs/index.md is the table of contents, also of the site: its lists become the navigation. A link to
a page, or to a heading of one, is checked by MyST, and one to another file of the repository here,
where it becomes a link to that file on the web.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

ROOT = Path(__file__).resolve().parent.parent
CARGO = (ROOT / "Cargo.toml").read_text("utf-8")


def cargo(key: str) -> str:
    found = re.search(rf'^{key} = "(.*)"$', CARGO, re.MULTILINE)
    assert found, key
    return found[1]


project = "libmalti"
version = release = cargo("version")
html_title = f"libmalti {version}"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "bindings/*/README.md", "tests/*/README.md"]
include_patterns += ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = ["target", ".tools", "**/node_modules"]
nitpicky = True
myst_heading_anchors = 4
html_theme = "furo"
html_copy_source = False
html_show_copyright = False

LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")
TO_A_PAGE = re.compile(r"^- \[([^\]]+)\]\(([^)#]+)\.md\)", re.MULTILINE)


def navigation(text: str) -> str:
    """A table of contents for each section of links."""
    for section in text.split("\n## ")[1:]:
        entries = [f"{title} <{page}>" for title, page in TO_A_PAGE.findall(section)]
        if entries:
            options = [":hidden:", f":caption: {section.splitlines()[0]}"]
            text += "\n".join(["", "```{toctree}", *options, "", *entries, "```", ""])
    return text


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    folder = posixpath.dirname(docname)

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, found["path"]))
        # Pages, and pictures, which Sphinx copies.
        if path.removesuffix(".md") in app.env.found_docs or path.endswith((".png", ".svg")):
            return found[0]
        if not (ROOT / path).exists():
            logging.getLogger(__name__).warning("no such file: %s", found[0], location=docname)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{cargo('repository')}/{kind}/main/{path}{found['anchor'] or ''}"

    text = LINK.sub(link, source[0])
    source[0] = navigation(text) if docname == root_doc else text


def lead_to_the_first_page(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        page = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">'
        (Path(app.outdir) / "index.html").write_text(f"{page}<title>libmalti</title>\n", "utf-8")


def setup(app: Sphinx) -> None:
    app.connect("source-read", read)
    app.connect("build-finished", lead_to_the_first_page)
