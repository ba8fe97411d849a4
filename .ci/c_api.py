"""Writes docs/c-api.md, the reference of the C interface, from the comments of include/malti.h."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "malti.h"
PAGE = ROOT / "docs" / "c-api.md"
TITLE = """\
# The C interface

Generated from [`include/malti.h`](../include/malti.h) by `make header`; do not edit. C++ has
[`include/malti.hpp`](../include/malti.hpp) besides.
"""
# A comment, and what it is about: up to a semicolon, or to the end of a line that defines.
ITEM = re.compile(
    r"^/\*\*(?P<text>.*?)\*/\n"
    r"(?P<code>#define (?P<constant>\w+) (?P<value>[^\n]*)"
    r"|typedef struct {\n(?P<fields>.*?)^} (?P<struct>\w+);"
    r"|typedef [^;]*?(?P<type>\w+)(?:\)\([^;]*\))?;"
    r"|[^;]*?(?P<function>\w+)\([^;]*\);)",
    re.MULTILINE | re.DOTALL,
)
FIELD = re.compile(r"/\*\*(?P<text>.*?)\*/\s*(?P<type>\w+) (?P<name>\w+);", re.DOTALL)


def prose(comment: str) -> str:
    """A comment as Markdown: its lines joined to paragraphs, names of ours as code."""
    lines = (re.sub(r"^\s*\*? ?", "", line) for line in comment.strip().splitlines())
    parts = "\n".join(lines).strip().split("`")
    # Every second one is code already.
    parts[::2] = [
        re.sub(r"\b(?:malti|MALTI)_(?:\w+\*?|\*)", r"`\g<0>`", part) for part in parts[::2]
    ]
    return "`".join(parts)


def cell(comment: str) -> str:
    return " ".join(prose(comment).split()).replace("|", r"\|")


def generated() -> str:
    constants, types, functions = [], [], []
    for item in ITEM.finditer(HEADER.read_text()):
        text, code = prose(item["text"]), f"```c\n{item['code']}\n```"
        if name := item["constant"]:
            constants.append(f"| `{name}` | `{item['value']}` | {cell(item['text'])} |")
        elif name := item["struct"]:
            rows = (
                f"| `{field['name']}` | `{field['type']}` | {cell(field['text'])} |"
                for field in FIELD.finditer(item["fields"])
            )
            table = "\n".join(["| field | type | what it is |", "|---|---|---|", *rows])
            types.append(f"### {name}\n\n{text}\n\n{table}")
        elif name := item["type"]:
            types.append(f"### {name}\n\n{code}\n\n{text}")
        else:
            functions.append(f"### {item['function']}\n\n{code}\n\n{text}")
    table = "\n".join(["| name | value | what it means |", "|---|---|---|", *constants])
    parts = [TITLE, "## Functions", *functions, "## Types", *types, "## Constants", table]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def is_current() -> bool:
    return PAGE.is_file() and PAGE.read_text() == generated()


if __name__ == "__main__":
    PAGE.write_text(generated())
