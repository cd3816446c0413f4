"""Which anchors and regions of an image its detector losses are taken on (Fast R-CNN, section 2.3)."""

import torch
from torch import Tensor


def sample_balanced(labels: Tensor, *, size: int, positive_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw at most `size` candidates, at most `positive_fraction` of them positive; negatives fill up.

    labels: (A,) over 0 for positive, 0 for negative, below for neither. seed: the image's own, so that the same ones are drawn
    whatever batch, process or device the image is in. Returns the indices of the positive and of the negative ones, ascending.
    """
    random = torch.Generator().manual_seed(seed)
    positive, negative = torch.where(labels >= 1)[0], torch.where(labels == 0)[0]
    num_positive = min(len(positive), int(size * positive_fraction))
    num_negative = min(len(negative), size - num_positive)
    return _some(positive, num_positive, random), _some(negative, num_negative, random)


def _some(candidates: Tensor, count: int, random: torch.Generator) -> Tensor:
    drawn = torch.randperm(len(candidates), generator=random)[:count].sort().values
    return candidates[drawn.to(candidates.device)]
