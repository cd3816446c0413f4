"""Loss curves as small inline SVGs, one a term; they take their text color from the page that shows them."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.util import find_spec
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from unipan.errors import InputError

SIZE_INCHES = (3.1, 1.95)
SMOOTHED_SHARE = 0.05
"""Of the records, averaged around each point of the bold line."""
LINE = "#3b82d6"
TEXT_STAND_IN = "#010203"
"""matplotlib cannot write `currentColor`; this color is swapped for it afterwards."""


def need_matplotlib() -> None:
    """Refuse where the extra is missing: better said before a training than after it."""
    if find_spec("matplotlib") is None:
        raise InputError("loss curves need matplotlib; install the extra: pip install 'unipan[report]'.")


def loss_curves(records: Sequence[Mapping[str, float]]) -> str:
    """One SVG for the total and for each loss term over the steps: smoothed, with the raw values faint behind.

    records: lines of the training log, {"step": ..., "loss": ..., "loss/semantic": ..., ...}; other keys are ignored.
    """
    names = sorted({key for record in records for key in record if key == "loss" or key.startswith("loss/")})
    return "\n".join(_curve(name, [record for record in records if name in record]) for name in names)


def _curve(name: str, records: Sequence[Mapping[str, float]]) -> str:
    need_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    steps = np.array([record["step"] for record in records], dtype=np.float64)
    values = np.array([record[name] for record in records], dtype=np.float64)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 8}):
        # The context restores the caller's settings; pyplot, and with it any window, is never touched.
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.plot(steps, values, color=LINE, alpha=0.25, linewidth=0.8)
        axes.plot(steps, _smoothed(values), color=LINE, linewidth=1.6)
        axes.set_title(_title(name), loc="left", fontweight="bold", fontsize=9, color=TEXT_STAND_IN)
        _restyle(axes, values)
        written = StringIO()
        figure.savefig(written, format="svg", transparent=True)
    return _inlined(written.getvalue(), name)


def _title(name: str) -> str:
    return "total" if name == "loss" else name.removeprefix("loss/").replace("_", " ")


def _restyle(axes, values: NDArray[np.float64]) -> None:
    """Quiet axes from zero, cut at the top so that the first steps' peak doesn't flatten the rest."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() >= 0 and finite.max() > 0:
        axes.set_ylim(0, 1.1 * max(np.quantile(finite, 0.98), 1e-12))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(TEXT_STAND_IN)
    axes.spines[["left", "bottom"]].set_alpha(0.3)
    axes.grid(axis="y", color=TEXT_STAND_IN, alpha=0.1, linewidth=0.6)
    axes.tick_params(colors=TEXT_STAND_IN, length=2)
    axes.locator_params(axis="both", nbins=4)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over a centred window, narrower at both ends."""
    radius = max(1, round(len(values) * SMOOTHED_SHARE / 2))
    summed = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    reach = np.minimum(radius, np.minimum(at, len(values) - 1 - at))
    return (summed[at + reach + 1] - summed[at - reach]) / (2 * reach + 1)


def _inlined(document: str, name: str) -> str:
    """The bare <svg> of an SVG file: no prologue, metadata or name spaces, which HTML doesn't need, and so no address."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\sid="[\w.]+_\d+"', "", svg)  # matplotlib's names of parts: nothing refers to them, and each SVG has the same
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(_title(name))} over steps"', 1)
    return svg.replace(TEXT_STAND_IN, "currentColor").strip()
