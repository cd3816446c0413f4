"""The feature pyramid against torchvision's own way through it."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from unipan.models.feature_decoder import group_norm
from unipan.models.pyramid import Pyramid

CHANNELS = [4, 6, 8, 10]


def features() -> dict[str, Tensor]:
    """Of an image whose coarser maps are not half of the finer ones."""
    random = torch.Generator().manual_seed(0)
    sizes = [(19, 26), (10, 13), (5, 7), (3, 4)]
    return {
        str(level): torch.randn(2, channels, *size, generator=random).requires_grad_()
        for level, (channels, size) in enumerate(zip(CHANNELS, sizes, strict=True))
    }


@pytest.mark.parametrize("norm", [None, group_norm])
def test_values_and_gradients_have_the_bits_of_torchvisions(norm: partial[nn.Module] | None) -> None:
    ours = Pyramid(CHANNELS, 32, LastLevelMaxPool(), norm_layer=norm)
    theirs = FeaturePyramidNetwork(CHANNELS, 32, LastLevelMaxPool(), norm_layer=norm)
    theirs.load_state_dict(ours.state_dict())

    def through(pyramid: nn.Module) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        given = features()
        leaves = [*given.values(), *pyramid.parameters()]
        found = pyramid(given)
        return found, torch.autograd.grad([level.cos().sum() for level in found.values()], leaves)

    (mine, my_gradients), (expected, gradients) = through(ours), through(theirs)
    assert list(mine) == list(expected) == ["0", "1", "2", "3", "pool"]
    for one, other in zip([*mine.values(), *my_gradients], [*expected.values(), *gradients], strict=True):
        assert torch.equal(one, other)


def test_features_are_let_go_of() -> None:
    given = features()
    Pyramid(CHANNELS, 8)(given)
    assert given == {}
