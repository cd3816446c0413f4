"""The feature pyramid: torchvision's network, its values by a way that holds less at once."""

import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import FeaturePyramidNetwork


class Pyramid(FeaturePyramidNetwork):
    """Each feature is let go of once it was read, and a sum takes its first term's place: half the memory, of large images."""

    def forward(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        """x: a backbone's features, finest first, (B, channels, h, w) each; it is empty afterwards. Returns P2.. and P6."""
        names, levels, coarser = list(x), [], None
        for inner_block, layer_block in zip(reversed(self.inner_blocks), reversed(self.layer_blocks), strict=True):
            finer = inner_block(x.popitem()[1])
            if coarser is not None:
                finer += F.interpolate(coarser, finer.shape[-2:], mode="nearest")
            levels.insert(0, layer_block(finer))
            coarser = finer
        if self.extra_blocks is not None:
            levels, names = self.extra_blocks(levels, [], names)
        return dict(zip(names, levels, strict=True))
