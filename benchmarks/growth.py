"""How time and memory grow: exponents, and the curves and the table that a page shows of a record."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

CURVES = Path(__file__).parents[1] / "docs" / "images" / "growth.svg"
TITLES = {"pixels": "image, megapixels", "detections": "detections", "classes": "classes", "batch": "images in a batch"}
QUANTITIES = {"seconds": "processor time, s", "mib": "memory, MiB"}


def figures(value: float) -> str:
    """Three of them, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def exponent(values: Sequence[float], found: Sequence[float]) -> float:
    """The p of found ~ values ** p, by least squares of logarithms; a value of 0 has none and is left out."""
    pairs = [(log(x), log(y)) for x, y in zip(values, found, strict=True) if x > 0]
    return float(np.polyfit([x for x, _ in pairs], [y for _, y in pairs], 1)[0])


def steepest(values: Sequence[float], found: Sequence[float]) -> float:
    """The largest exponent between neighbours: what a constant part does not hide where the values are large."""
    pairs = [(x, y) for x, y in zip(values, found, strict=True) if x > 0]
    return max(exponent(*zip(*two, strict=True)) for two in pairwise(pairs))


def medians(axis: Mapping[str, Any], quantity: str) -> list[float]:
    """Of the rounds, at each value."""
    return [median(rounds) for rounds in axis[quantity]]


def growth_table(axes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The lines of a table: each axis and quantity with its values and exponents.

    axes: name -> values, and for each quantity the rounds at each of them.
    """
    lines = ["| against | what | at | exponent | steepest between neighbours |", "|---|---|---|---:|---:|"]
    for name, axis in axes.items():
        for quantity, title in QUANTITIES.items():
            found = medians(axis, quantity)
            pairs = ", ".join(f"{x:g}: {figures(y)}" for x, y in zip(axis["values"], found, strict=True))
            of_both = " | ".join(_shown(of(axis["values"], found)) for of in (exponent, steepest))
            lines.append(f"| {TITLES[name]} | {title} | {pairs} | {of_both} |")
    return lines


def _shown(number: float) -> str:
    return f"{round(number, 2) + 0.0:.2f}"  # without a -0.00


def draw_curves(axes: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """An SVG: time above, memory below, a column for each axis; both scales logarithmic, a dotted line where all is linear."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 8}):
        figure = Figure(figsize=(2.4 * len(axes), 4), layout="constrained")
        grid = figure.subplots(len(QUANTITIES), len(axes), squeeze=False)
        for column, (name, axis) in enumerate(axes.items()):
            for row, (quantity, title) in enumerate(QUANTITIES.items()):
                _draw(grid[row, column], axis["values"], medians(axis, quantity))
                grid[row, 0].set_ylabel(title)
            grid[-1, column].set_xlabel(TITLES[name])
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw(axes: Any, values: Sequence[float], found: Sequence[float]) -> None:
    x, y = (np.array(numbers)[np.array(values) > 0] for numbers in (values, found))
    axes.loglog(x, y, marker="o", markersize=3, linewidth=1.4, color="#2a78d6")
    axes.loglog(x, y[-1] * x / x[-1], linestyle=":", linewidth=0.8, color="#888888")
    axes.set_ylim(min(y) / 2, max(y) * 2)
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.minorticks_off()
    axes.set_title(f"exponent {_shown(exponent(values, found))}", loc="left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
