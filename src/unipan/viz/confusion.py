"""A class confusion as a drawing: which true class (row) is taken for which (column), in percent of the row. C classes."""

import warnings
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unipan.classes import ClassTable
from unipan.viz.curves import need_matplotlib

DOTS_PER_INCH = 110
MAX_CLASSES_WITH_NUMBERS = 24
"""More of them, and cells are too small for numbers."""
CELL_INCHES, SMALL_CELL_INCHES = 0.46, 0.16
FONT_POINTS, SMALL_FONT_POINTS = 8.5, 7
LABEL_INCHES_PER_LETTER = 0.075
PERCENT_WORTH_PRINTING = 0.05


def draw_confusion(
    pixels: NDArray[np.int64], classes: ClassTable, *, void: str, beside: Sequence[NDArray[np.int64]] = ()
) -> Image.Image | None:
    """Stuff first, then things, and a column for predicted void where there is any; classes that never occur are left out.

    pixels: (C, C + 1) counts; the last column is predicted void. void: its name. beside: counts that are drawn side by side with
    them; what occurs in any has its place in all, so that their cells are equally large. None where no pixel was counted.
    """
    order, occurs = [*classes.stuff, *classes.things], sum((other > 0 for other in beside), pixels > 0)
    rows = [index for index in order if occurs[index].any()]
    columns = [index for index in [*order, len(classes)] if occurs[:, index].any()]
    if not pixels.any():
        return None
    shares = pixels[np.ix_(rows, columns)] / np.maximum(pixels[rows].sum(1, keepdims=True), 1)
    names = [*(info.name for info in classes.classes), void]
    things = [sum(index in classes.stuff for index in axis) for axis in (rows, columns)]
    return _heat_map(shares, [names[i] for i in rows], [names[i] for i in columns], things_from=(things[0], things[1]))


def _heat_map(shares: NDArray[np.float64], rows: list[str], columns: list[str], *, things_from: tuple[int, int]) -> Image.Image:
    """shares: 0..1. things_from: the first row and column of a thing; a line parts them from the stuff."""
    need_matplotlib()
    from matplotlib import rc_context
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    with_numbers = len(rows) <= MAX_CLASSES_WITH_NUMBERS
    cell, points = (CELL_INCHES, FONT_POINTS) if with_numbers else (SMALL_CELL_INCHES, SMALL_FONT_POINTS)
    label = 0.5 + LABEL_INCHES_PER_LETTER * max(map(len, rows + columns))
    with rc_context({"font.family": "sans-serif", "font.size": points, "text.parse_math": False}):  # names may hold $
        figure = Figure(figsize=(cell * len(columns) + label + 0.2, cell * len(rows) + label + 0.2), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(100 * shares, cmap="Blues", norm=PowerNorm(0.4, 0, 100), aspect="equal")  # small errors are to be seen
        axes.set_xticks(range(len(columns)), columns, rotation=90)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel("taken for")
        axes.set_ylabel("truth")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if 0 < things_from[0] < len(rows):
            axes.axhline(things_from[0] - 0.5, color="#666666", linewidth=0.8)
        if 0 < things_from[1] < len(columns):
            axes.axvline(things_from[1] - 0.5, color="#666666", linewidth=0.8)
        if with_numbers:
            _write_numbers(axes, 100 * shares)
        written = BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name may hold what no font here draws
            figure.savefig(written, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return Image.open(written).convert("RGB")


def _write_numbers(axes, percent: NDArray[np.float64]) -> None:
    for (y, x), value in np.ndenumerate(percent):
        if value >= PERCENT_WORTH_PRINTING:
            axes.text(x, y, f"{value:.1f}", ha="center", va="center", color="white" if value > 40 else "black")
