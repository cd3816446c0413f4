"""FCOS's truth: which thing a location learns, and how central it lies in it (Tian et al., ICCV 2019).

L locations of one image over all levels, each given as the square of one stride around it; G true things.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_area

from unipan.models.proposals import STRIDES

LEVELS = STRIDES[1:]
"""Strides of P3..P6."""
CENTER_RADIUS = 1.5
"""Locations learn a thing within so many strides of its box's centre (torchvision's FCOS)."""


def responsibility(cells: Tensor, boxes: Tensor, anchor_scale: float) -> Tensor:
    """(L,) int64: the true thing that each location learns, -1 for none.

    cells: (L, 4) squares of one stride around the locations. boxes: (G, 4). A location learns a thing that holds it, whose
    centre is near, and whose farthest side lies between anchor_scale / 2 and anchor_scale strides away (FCOS's own ranges at
    scale 8); the first level takes all smaller ones, the last all larger ones. Of several things it learns the smallest.
    """
    strides = (cells[:, 2] - cells[:, 0])[:, None]  # (L, 1)
    locations = (cells[:, None, :2] + cells[:, None, 2:]) / 2  # (L, 1, 2)
    distances = torch.cat([locations - boxes[:, :2], boxes[:, 2:] - locations], dim=2)  # (L, G, 4)
    off_center = (locations - (boxes[:, :2] + boxes[:, 2:]) / 2).abs().amax(2)
    farthest = distances.amax(2)
    low = (strides * anchor_scale / 2).where(strides > LEVELS[0], 0.0)
    high = (strides * anchor_scale).where(strides < LEVELS[-1], torch.inf)
    learns = (distances.amin(2) > 0) & (off_center < CENTER_RADIUS * strides) & (farthest >= low) & (farthest < high)
    areas = F.pad(box_area(boxes).where(learns, torch.inf), (0, 1), value=torch.inf)  # one more column: no thing
    smallest, thing = areas.min(1)
    return thing.where(smallest.isfinite(), -1)


def centeredness(distances: Tensor) -> Tensor:
    """(R,) 1 at a box's centre, falling to 0 at its sides. distances: (R, 4), each above 0. FCOS, equation 3."""
    across, down = distances[:, [0, 2]], distances[:, [1, 3]]
    return (across.amin(1) / across.amax(1) * down.amin(1) / down.amax(1)).sqrt()
