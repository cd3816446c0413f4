"""Curves as small inline SVGs: losses over steps, scores against what is right; a page's text color is theirs."""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from io import StringIO
from typing import Any, NamedTuple

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


class Curve(NamedTuple):
    """A drawing and what it is of, for those who don't see it."""

    meaning: str
    svg: str


def loss_curves(records: Sequence[Mapping[str, float]]) -> list[Curve]:
    """One for the total and for each loss term over the steps: smoothed, with the raw values faint behind.

    records: lines of the training log, {"step": ..., "loss": ..., "loss/semantic": ..., ...}; other keys are ignored.
    """
    names = sorted({key for record in records for key in record if key == "loss" or key.startswith("loss/")})
    return [_loss_curve(name, [record for record in records if name in record]) for name in names]


def reliability_curve(bins: Sequence[tuple[float, float, int]]) -> Curve:
    """Mean score, share that is right, and number of the things of each bin; right scores lie on the diagonal."""

    def draw(axes: Any) -> None:
        scores, matched, things = (np.array(values, dtype=np.float64) for values in zip(*bins, strict=True))
        axes.plot([0, 1], [0, 1], color=TEXT_STAND_IN, alpha=0.3, linewidth=0.8)
        axes.plot(scores, matched, color=LINE, linewidth=1.6)
        axes.scatter(scores, matched, s=6 + 90 * things / things.max(), color=LINE, alpha=0.8, linewidth=0)
        axes.set(xlim=(0, 1), ylim=(0, 1.03))
        axes.set_xlabel("mean score; a dot's area is its number of things", color=TEXT_STAND_IN, fontsize=7)

    return Curve("the share of things that are matched over their mean score", _svg("share matched", draw))


def _loss_curve(name: str, records: Sequence[Mapping[str, float]]) -> Curve:
    steps = np.array([record["step"] for record in records], dtype=np.float64)
    values = np.array([record[name] for record in records], dtype=np.float64)

    def draw(axes: Any) -> None:
        axes.plot(steps, values, color=LINE, alpha=0.25, linewidth=0.8)
        axes.plot(steps, _smoothed(values), color=LINE, linewidth=1.6)
        _cut(axes, values)

    return Curve(f"{_title(name)} over steps", _svg(_title(name), draw))


def _svg(title: str, draw: Callable[[Any], None]) -> str:
    need_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif", "font.size": 8}):
        # The context restores the caller's settings; pyplot, and with it any window, is never touched.
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set_title(title, loc="left", fontweight="bold", fontsize=9, color=TEXT_STAND_IN)
        _restyle(axes)
        written = StringIO()
        figure.savefig(written, format="svg", transparent=True)
    return _inlined(written.getvalue())


def _title(name: str) -> str:
    return "total" if name == "loss" else name.removeprefix("loss/").replace("_", " ")


def _cut(axes: Any, values: NDArray[np.float64]) -> None:
    """From zero, cut at the top so that the first steps' peak doesn't flatten the rest."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() >= 0 and finite.max() > 0:
        axes.set_ylim(0, 1.1 * max(np.quantile(finite, 0.98), 1e-12))


def _restyle(axes: Any) -> None:
    """Quiet axes."""
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


def _inlined(document: str) -> str:
    """The bare <svg> of an SVG file: no prologue, metadata or name spaces, which HTML doesn't need, and so no address."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\sid="[\w.]+_\d+"', "", svg)  # matplotlib's names of parts: nothing refers to them, and each SVG has the same
    return svg.replace(TEXT_STAND_IN, "currentColor").strip()
