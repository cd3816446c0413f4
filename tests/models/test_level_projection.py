"""The 1x1 convolution taken of each level before upsampling, against the paper's order: upsample, concatenate, convolve."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unipan.models.feature_decoder import project


@pytest.mark.parametrize("sizes", [((8, 12), (4, 6), (2, 3), (1, 2)), ((5, 7), (3, 4), (5, 7))])
def test_values_and_gradients_are_those_of_the_concatenation(sizes: tuple[tuple[int, int], ...]) -> None:
    torch.manual_seed(0)
    levels = [torch.randn(2, 3 + i, *size, dtype=torch.float64, requires_grad=True) for i, size in enumerate(sizes)]
    projection = nn.Conv2d(sum(level.shape[1] for level in levels), 4, 1).double()
    upsampled = [F.interpolate(level, sizes[0], mode="bilinear", align_corners=False) for level in levels]
    expected = projection(torch.cat(upsampled, 1))
    found = project(levels, projection)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    inputs, slope = [*levels, *projection.parameters()], torch.randn_like(expected)
    gradients = zip(torch.autograd.grad(found, inputs, slope), torch.autograd.grad(expected, inputs, slope), strict=True)
    for own, reference in gradients:
        torch.testing.assert_close(own, reference, atol=1e-12, rtol=1e-12)


def test_a_level_of_one_image_serves_all() -> None:
    levels, projection = [torch.randn(3, 2, 4, 5), torch.randn(1, 6, 4, 5)], nn.Conv2d(8, 7, 1)
    expected = projection(torch.cat([levels[0], levels[1].expand(3, -1, -1, -1)], 1))
    torch.testing.assert_close(project(levels, projection), expected)
