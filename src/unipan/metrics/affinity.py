"""Does the affinity tell instances apart, whatever the boxes? P cells of one image, each with features (P, D) and a true segment.

Neither measure needs an answer: both ask the features alone, with the truth's segments.
"""

from dataclasses import dataclass
from math import nan

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.metrics.additive import Additive
from unipan.metrics.units import UNITS

MARKED_CELLS = 64
"""Cells of things of one image whose affinities to all cells are looked at, evenly spaced among them."""

CELLS_AT_ONCE = 2**12
"""In double precision: of a large image all cells together would take longer to be given memory than to be multiplied."""


@dataclass(frozen=True)
class AffinityCounts(Additive):
    """What both measures need to know of any number of images."""

    rival_cells: int = 0
    """Cells of things that share the image with another thing of their class."""
    distinguished: int = 0
    """Those of them whose features are nearest to their own thing's mean, by scalar product, among the things of its class."""
    chance: int = 0
    """Those that drawing lots between these things would get right, in UNITS."""
    rival_pixels: int = 0
    """The pixels of these things, as far as a thing holds the middle of a cell."""
    distinguished_pixels: int = 0
    """Those of them that are right likewise, once the products have come to pixels as logits do."""
    marked: int = 0
    """Marked cells of things."""
    own: int = 0
    """Sum over them of the share of their positive affinity that falls on their own thing, in UNITS."""
    area: int = 0
    """Sum over them of the share of all cells that their own thing has, in UNITS."""

    def shares(self) -> dict[str, float]:
        """Fractions 0..1; nan where there is nothing to judge."""
        rivals, marked = self.rival_cells or nan, self.marked or nan
        return {
            "told_apart": self.distinguished / rivals,
            "told_apart_by_chance": self.chance / UNITS / rivals,
            "pixels_told_apart": self.distinguished_pixels / (self.rival_pixels or nan),
            "affinity_on_own": self.own / UNITS / marked,
            "area_of_own": self.area / UNITS / marked,
        }


def affinity_counts(features: Tensor, things: Tensor, labels: Tensor) -> AffinityCounts:
    """One image. features: (P, D). things: (P,) int64, which of the G true things a cell belongs to, -1 for none.

    labels: (G,) int64, their classes.
    """
    cells = torch.where(things >= 0)[0]
    if not len(cells):
        return AffinityCounts()
    owner, own_features = things[cells], features[cells].double()
    means, areas = thing_means(own_features, owner, len(labels))
    rival = (labels[owner][:, None] == labels) & (areas > 0)  # (p, G): the things among which a cell must find its own
    nearest = (own_features @ means.T).masked_fill(~rival, -torch.inf).argmax(1)
    judged = rival.sum(1) > 1
    count = min(MARKED_CELLS, len(cells))
    marked = torch.arange(count, device=cells.device) * len(cells) // count
    positive = torch.cat([own_features[marked] @ part.T.double() for part in features.split(CELLS_AT_ONCE)], 1).clamp_(min=0)
    all_positive = positive.sum(1)
    on_own = positive.masked_fill_(things != owner[marked][:, None], 0).sum(1)
    return AffinityCounts(
        rival_cells=int(judged.sum()),
        distinguished=int((nearest == owner)[judged].sum()),
        chance=_units(1 / rival.sum(1)[judged]),
        marked=count,
        own=_units(on_own / all_positive.clamp(min=torch.finfo(torch.float64).tiny)),
        area=_units(areas[owner[marked]] / len(things)),
    )


def thing_means(features: Tensor, things: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The mean features of each of `count` things, (G, D), zeros of one without cells; and how many cells it has, (G,) float64.

    features: (P, D). things: (P,) int64, as in `affinity_counts`.
    """
    inside = things >= 0
    of_thing = F.one_hot(things[inside], count).double()  # (p, G)
    areas = of_thing.sum(0)
    return of_thing.T @ features[inside].double() / areas.clamp(min=1)[:, None], areas


def _units(shares: Tensor) -> int:
    return int((shares.double() * UNITS).round().long().sum())
