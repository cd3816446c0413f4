"""Each segment's own runs: what formats that describe one segment at a time are written from, at the cost of one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unipan.ops.segments import Runs, runs_of

if TYPE_CHECKING:
    from torch import Tensor


def runs_of_each(ids: Tensor, known: Sequence[int]) -> list[Runs]:
    """The runs of each known id by themselves, from one pass over the map; none of an id that is not there."""
    runs = runs_of(ids)
    order = np.argsort(runs.ids, kind="stable")
    own = Runs(*(field[order] for field in runs))
    bounds = (np.searchsorted(own.ids, known, side).tolist() for side in ("left", "right"))
    return [Runs(*(field[first:end] for field in own)) for first, end in zip(*bounds, strict=True)]
