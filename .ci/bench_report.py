"""Makes docs/benchmarks.md and its plots of what the parts of the bench found last.

What a part found stands beside the plots, so that the page can be made anew in every checkout, also
where only some parts were measured.
"""

import importlib
import itertools
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
INK, PAPER = "#24292f", "#ffffff"
OURS, THEIRS = "#1f6feb", "#8b949e"
OTHERS = (THEIRS, "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
MARKERS = "os^Dv"
COLOURED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
# The same figures give the same bytes; text stays text, in whatever sans-serif is there.
STYLE = {
    "svg.hashsalt": "libmalti",
    "svg.fonttype": "none",
    "font.size": 9,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    **dict.fromkeys(COLOURED, INK),
}
# A page that is dark has a picture that is.
DARK = f"""<style>@media (prefers-color-scheme: dark) {{
 [style*="fill: {PAPER}"] {{ fill: #0d1117 !important }}
 [style*="fill: {INK}"] {{ fill: #e6edf3 !important }}
 [style*="stroke: {INK}"] {{ stroke: #e6edf3 !important }}
}}</style>"""

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
% more than `benches/baseline.json` says. The figures as JSON, and what each plot is drawn of, are
in [benchmarks](benchmarks).

A ratio is the median of the ratios of what was measured together, with its 95 % interval by
bootstrap. A target holds only if the whole interval does; [what stands in the way of the missed
ones](missed-targets.md) has a page of its own. A figure counts only if every record was delivered.
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
    name = f"{PARTS[part].partition(':')[0]}: {what}"
    for grid in found.get(part, {"grids": []})["grids"]:
        for cells in grid["rows"] if grid["columns"] == list(COLUMNS) else []:
            if cells[0] == what and cells[2].startswith(baseline) and cells[-1]:
                return [name, *cells[1:-1], emphasised(cells[-1])]
    return [name, "not measured", "", "", "", ""]


def emphasised(verdict: str) -> str:
    return "**missed**" if verdict == "missed" else verdict


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


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def draw_bars(plot: Found, axes: Any) -> None:
    # The best one on top.
    bars = dict(sorted(plot["bars"].items(), key=lambda bar: bar[1][0]))
    if not plot.get("more_is_better"):
        bars = dict(reversed(bars.items()))
    medians, errors = whiskers(bars.values())
    colours = [OURS if "libmalti" in name else THEIRS for name in bars]
    drawn = axes.barh(list(bars), medians, xerr=errors, color=colours, ecolor=INK)
    axes.bar_label(drawn, [number(middle) for middle in medians], padding=3)
    axes.set_xlabel(plot["y"])
    axes.set_xlim(left=0)
    axes.margins(x=0.1)


def draw_lines(plot: Found, axes: Any) -> None:
    others = iter(OTHERS)
    for (name, points), marker in zip(plot["lines"].items(), itertools.cycle(MARKERS)):
        xs = [x for x, *_ in points]
        medians, errors = whiskers([point[1:] for point in points])
        ours = name in ("libmalti", "malti_record")
        looks = {"color": OURS if ours else next(others), "marker": marker, "markersize": 4}
        axes.errorbar(xs, medians, yerr=errors, capsize=2, label=name, **looks)
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
    axes.figure.legend(frameon=False, loc="outside right upper")


def draw(plot: Found, path: Path) -> None:
    bars = plot.get("bars")
    height = 0.9 + 0.25 * len(bars) if bars else 3
    figure, axes = pyplot.subplots(figsize=(7, height), layout="constrained")
    (draw_bars if bars else draw_lines)(plot, axes)
    axes.set_title(plot["title"], fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # The library ends some lines with a blank.
    lines = [line.rstrip() for line in path.read_text().splitlines()]
    at = next(i for i, line in enumerate(lines) if line.strip() == "<defs>")
    path.write_text("\n".join([*lines[:at], DARK, *lines[at:]]) + "\n")


def in_words(plot: Found) -> str:
    """What who does not see the plot is told."""
    if "bars" in plot:
        said = [f"{name} {number(middle)}" for name, (middle, *_) in plot["bars"].items()]
        return f"{plot['title']}, in {plot['y']}: {', '.join(said)}"
    said = []
    for name, points in plot["lines"].items():
        (first, from_, *_), (last, to, *_) = points[0], points[-1]
        said.append(f"{name} from {number(from_)} at {first:,} to {number(to)} at {last:,}")
    return f"{plot['title']}, in {plot['y']}: {', '.join(said)}"


def section(name: str, part: Found) -> list[str]:
    lines = [f"## {PARTS[name]}", "", filled(part["method"]), ""]
    versions = ", ".join(named(key, value) for key, value in part["versions"].items() if value)
    commit = f" at commit {part['machine']['commit']}" if part["machine"]["commit"] else ""
    took = f"Measured on {part['date']}{commit}, in {part['seconds']} s."
    lines += [filled(f"{took} {versions}." if versions else took), ""]
    for grid in part["grids"]:
        if not grid["rows"]:
            continue
        columns = list(grid["columns"])
        rows = grid["rows"]
        if columns == list(COLUMNS):
            rows = [[*row[:-1], emphasised(row[-1])] for row in rows]
        lines += [*table(columns, rows), ""]
    for plot in part["plots"]:
        draw(plot, PLOTS / f"{plot['name']}.svg")
        lines += [f"![{in_words(plot)}](benchmarks/{plot['name']}.svg)", ""]
    if not part.get("finished", True):
        lines += ["This run was ended before it had measured all.", ""]
    for failure in part["failures"]:
        lines += [f"Not measured: {failure}", ""]
    return lines


def newest(name: str) -> Found | None:
    """What this checkout measured last, or has."""
    files = [folder / f"{name}.json" for folder in (BUILT, PLOTS)]
    found: list[Found] = [json.loads(file.read_text()) for file in files if file.is_file()]
    return max(found, key=lambda one: one["date"], default=None)


def main() -> int:
    pyplot.switch_backend("svg")
    pyplot.rcParams.update(STYLE)
    PLOTS.mkdir(exist_ok=True)
    found = {name: part for name in PARTS if (part := newest(name))}
    for old in PLOTS.glob("*.svg"):
        old.unlink()
    for name, part in found.items():
        text = json.dumps(part, indent=1, ensure_ascii=False)
        (PLOTS / f"{name}.json").write_text(text + "\n")
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
