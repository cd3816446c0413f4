"""A figure for a paper: rows of images under column titles, with the classes' colors, a scale, and what it is of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from unipan.classes import ClassTable
from unipan.errors import InputError
from unipan.files import check_writable, make_folder, replace_atomically
from unipan.viz.curves import need_matplotlib
from unipan.viz.panels import HEAT

FORMATS = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}
"""What a figure can be saved as, and what keeps the time of its making out of it: the same figure has the same bytes."""
WIDTH_INCHES = 7.16
"""Of a page with two columns."""
DOTS_PER_INCH = 300
FONT_POINTS, SMALL_POINTS = 7, 6
LEGEND_COLUMNS = 8


class FigureRow(NamedTuple):
    """An image in all its columns; a panel is its drawing and the words below it."""

    title: str
    panels: Sequence[tuple[Image.Image, str]]


def check_figure(path: Path) -> None:
    """Say before any work what would fail after it.

    Raises: InputError.
    """
    need_matplotlib()
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--out {path} is not the name of a figure; end it in {', '.join(FORMATS)}.")
    check_writable(path, new_folders=True)


def save_figure(
    path: Path, rows: Sequence[FigureRow], *, columns: Sequence[str], source: str, classes: ClassTable, heat: str = ""
) -> None:
    """Write a PDF, an SVG or a PNG, by the path's suffix.

    columns: the titles above the columns. source: the run, the head and the limits; it stands below. classes: those in the
    drawings, for the legend. heat: what the colors of affinities from 0 to 1 say; "" where there are none.
    """
    check_figure(path)
    from matplotlib import rc_context
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "unipan", "pdf.fonttype": 42, "font.family": "sans-serif"}
    with rc_context({**settings, "font.size": FONT_POINTS, "text.parse_math": False}):  # names may hold $
        side = (WIDTH_INCHES - 0.3) / len(columns)
        heights = [side * max(image.height / image.width for image, _ in row.panels) + 0.15 for row in rows]
        legend_lines = -(-len(classes) // LEGEND_COLUMNS)
        below = 0.35 + 0.15 * legend_lines + (0.4 if heat else 0)
        figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.25 + below), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)  # type: ignore[union-attr]
        grid = figure.subplots(len(rows), len(columns), squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes_of_row, row in zip(grid, rows, strict=True):
            for axes, (image, words) in zip(axes_of_row, row.panels, strict=True):
                axes.imshow(np.asarray(image.convert("RGB")), interpolation="none")
                axes.set(xticks=[], yticks=[])
                axes.set_xlabel(words, fontsize=SMALL_POINTS, labelpad=2)
                axes.spines[:].set_linewidth(0.3)
            axes_of_row[0].set_ylabel(row.title, fontsize=SMALL_POINTS, labelpad=3)
        for axes, title in zip(grid[0], columns, strict=True):
            axes.set_title(title, fontsize=FONT_POINTS, pad=3)
        if heat:
            stops = LinearSegmentedColormap.from_list("heat", (HEAT / 255).tolist())
            bar = figure.colorbar(ScalarMappable(cmap=stops), ax=grid, location="bottom", aspect=60, shrink=0.4, pad=0.01)
            bar.set_label(heat, fontsize=SMALL_POINTS)
            bar.ax.tick_params(labelsize=SMALL_POINTS, length=2)
            bar.outline.set_linewidth(0.3)  # type: ignore[operator]
        red_green_blue = [tuple(value / 255 for value in info.color) for info in classes.classes]
        handles: list[Any] = [
            Patch(facecolor=color, label=info.name)  # type: ignore[arg-type]
            for color, info in zip(red_green_blue, classes.classes, strict=True)
        ]
        handles.append(Patch(facecolor="0.35", hatch="////", edgecolor="0.6", linewidth=0, label="(void)"))
        small: Any = {"fontsize": SMALL_POINTS, "title_fontsize": SMALL_POINTS, "frameon": False}
        figure.legend(handles=handles, title=source, loc="outside lower center", ncols=LEGEND_COLUMNS, **small)
        make_folder(path.parent)
        suffix = path.suffix.lower()
        replace_atomically(
            path,
            lambda temporary: figure.savefig(
                temporary, format=suffix[1:], dpi=DOTS_PER_INCH, facecolor="white", metadata=FORMATS[suffix]
            ),
        )
