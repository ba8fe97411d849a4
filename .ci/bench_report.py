"""Makes docs/benchmarks.md and its plots of what the parts of the bench found last."""

import importlib
import json
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import PARTS
from part import COLUMNS
from programs import BUILT, ROOT

# It has no types that a check could read where it is not installed.
pyplot: Any = importlib.import_module("matplotlib.pyplot")
# The same figures give the same bytes; text stays text.
STYLE = {"svg.hashsalt": "libmalti", "svg.fonttype": "none", "font.size": 9}

PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
# What was to be reached: part, row and how its baseline begins.
TARGETS = (
    ("record", "malti_record, 1 thread", "F"),
    ("record", "CPU per record, 2 threads", ""),
    ("record", "CPU per record, 4 threads", ""),
    ("record", "CPU per record, 8 threads", ""),
    ("record", "p99.9 of one call", ""),
    ("record", "heap per waiting record", ""),
    ("record", "JSON writer", ""),
    ("record", "record from Rust", "opentelemetry_sdk"),
    ("record", "library with TLS", ""),
    ("record", "idle memory (own)", ""),
    ("sender", "sender CPU per record", ""),
    ("python", "record", "malti-telemetry"),
    ("python", "request, bare ASGI", "malti-telemetry"),
    ("python", "p99 beside a busy thread", ""),
    ("node", "record", "OpenTelemetry"),
    ("go", "record", "empty cgo call"),
    ("record", "malti_record, below F", ""),
    ("python", "request, bare ASGI", "goal"),
)
HEAD = """# What it costs

`make bench` measures the library beside what else could do its work, and writes this page of it;
every figure below comes from such a run. It installs the peers, pinned by the lock files here, and
measures all in turn on one machine. `make bench PART="record growth"` measures those parts alone
({parts}) and leaves the rest of the page as it was; each part says when it was measured. `make
bench-quick` counts instructions only; CI runs it, and it fails where a record or a request takes 5
% more than `benches/baseline.json` says.

A ratio is the median of the ratios of what was measured together, with its 95 % interval by
bootstrap. A target holds only if the whole interval does. A figure counts only if every record was
delivered.
"""

Found = dict[str, Any]


def filled(paragraph: str) -> str:
    """Over lines of the length that the other pages have."""
    return textwrap.fill(paragraph, 110, break_long_words=False, break_on_hyphens=False)


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    width = max(len(cells) for cells in [columns, *rows])
    lines = [columns, ["---"] * width, *rows]
    padded = [[*cells, *[""] * (width - len(cells))] for cells in lines]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in padded]


def target_row(found: dict[str, Found], part: str, what: str, baseline: str) -> list[str]:
    for row in found.get(part, {"rows": []})["rows"]:
        if row["what"] == what and row["baseline"].startswith(baseline) and row["target"]:
            verdict = "met" if row["met"] else "**missed**"
            cells = [row[name] for name in ("figure", "baseline", "ratio", "target")]
            return [f"{PARTS[part].partition(':')[0]}: {what}", *cells, verdict]
    return [f"{PARTS[part].partition(':')[0]}: {what}", "not measured", "", "", "", ""]


def targets(found: dict[str, Found]) -> list[str]:
    rows = [target_row(found, *target) for target in TARGETS]
    met = sum(row[-1] == "met" for row in rows)
    columns = ["what", "figure", "baseline", "ratio (95 %)", "target", ""]
    return [f"## The targets: {met} of {len(rows)} met", "", *table(columns, rows)]


def named(key: str, value: str) -> str:
    """Some tools name themselves in their version."""
    return value if value.startswith(key) else f"{key} {value}"


def machine(found: dict[str, Found]) -> list[str]:
    """What all parts were measured on, or which on what."""
    kinds: dict[str, list[str]] = {}
    for name, part in found.items():
        facts = {key: value for key, value in part["machine"].items() if value and key != "commit"}
        text = "; ".join(named(key, value) for key, value in facts.items())
        kinds.setdefault(text, []).append(name)
    if len(kinds) == 1:
        return [filled(f"Measured on: {next(iter(kinds))}."), ""]
    lines = []
    for text, names in kinds.items():
        lines += [filled(f"{', '.join(names)}: measured on {text}."), ""]
    return lines


def whiskers(points: Iterable[list[float]]) -> tuple[list[float], list[list[float]]]:
    """Medians, and how far their intervals reach below and above."""
    all_points = list(points)
    below = [max(middle - low, 0) for middle, low, _ in all_points]
    above = [max(high - middle, 0) for middle, _, high in all_points]
    return [middle for middle, *_ in all_points], [below, above]


def draw(plot: Found, path: Path) -> None:
    height = 0.8 + 0.25 * len(plot["bars"]) if "bars" in plot else 3
    figure, axes = pyplot.subplots(figsize=(7, height), layout="constrained")
    if "bars" in plot:
        bars = dict(sorted(plot["bars"].items(), key=lambda bar: -bar[1][0]))
        medians, errors = whiskers(bars.values())
        colours = ["#1f6feb" if "libmalti" in name else "#8b949e" for name in bars]
        axes.barh(list(bars), medians, xerr=errors, color=colours, error_kw={"linewidth": 1})
        axes.set_xlabel(plot["y"])
        axes.set_xlim(left=0)
    else:
        for name, points in plot["lines"].items():
            xs = [x for x, *_ in points]
            medians, errors = whiskers([point[1:] for point in points])
            axes.errorbar(xs, medians, yerr=errors, marker="o", markersize=3, capsize=2, label=name)
        if "x" in plot["log"]:
            axes.set_xscale("log")
            axes.set_xticks(xs, [f"{x:,}" for x in xs], minor=False)
            axes.minorticks_off()
        if "y" in plot["log"]:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(pyplot.LogLocator(subs=[1, 2, 5]))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(plot["x"])
        axes.set_ylabel(plot["y"])
        figure.legend(frameon=False, loc="outside right upper")
    axes.set_title(plot["title"], fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # The library ends some lines with a blank.
    lines = (line.rstrip() for line in path.read_text().splitlines())
    path.write_text("\n".join(lines) + "\n")


def first_heading(page: Path) -> str:
    return page.read_text().partition("\n")[0].strip("# ")


def section(name: str, part: Found) -> list[str]:
    lines = [f"## {PARTS[name]}", "", filled(part["method"]), ""]
    versions = ", ".join(named(key, value) for key, value in part["versions"].items())
    commit = f" at commit {part['machine']['commit']}" if part["machine"]["commit"] else ""
    took = f"Measured on {part['date']}{commit}, in {part['seconds']} s."
    lines += [filled(f"{took} {versions}." if versions else took), ""]
    for grid in part["grids"]:
        if not grid["rows"]:
            continue
        columns = list(grid["columns"])
        rows = grid["rows"]
        if columns == list(COLUMNS):
            words = {"ok": "met", "MISS": "**missed**"}
            rows = [[*row[:-1], words.get(row[-1], "")] for row in rows]
        lines += [*table(columns, rows), ""]
    for plot in part["plots"]:
        draw(plot, PLOTS / f"{plot['name']}.svg")
        lines += [f"![{plot['title']}](benchmarks/{plot['name']}.svg)", ""]
    if not part.get("finished", True):
        lines += ["This run was ended before it had measured all.", ""]
    more = PAGE.with_name(f"benchmarks-{name}.md")
    if more.is_file():
        lines += [f"More: [{first_heading(more)}]({more.name}).", ""]
    for failure in part["failures"]:
        lines += [f"Not measured: {failure.splitlines()[0]}", ""]
    return lines


def main() -> int:
    pyplot.switch_backend("svg")
    pyplot.rcParams.update(STYLE)
    PLOTS.mkdir(exist_ok=True)
    found: dict[str, Found] = {}
    for name in PARTS:
        path = BUILT / f"{name}.json"
        if path.is_file():
            found[name] = json.loads(path.read_text())
    for old in PLOTS.glob("*.svg"):
        old.unlink()
    head = HEAD.format(parts=", ".join(PARTS)).split("\n\n")
    lines = ["\n\n".join(map(filled, head)), "", *machine(found), *targets(found), ""]
    for name, title in PARTS.items():
        # What links to a part finds it.
        missing = [f"## {title}", "", "Not measured yet.", ""]
        lines += section(name, found[name]) if name in found else missing
    PAGE.write_text("\n".join(lines).rstrip() + "\n")
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
