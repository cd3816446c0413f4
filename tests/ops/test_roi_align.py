"""Against torchvision's operator, in value and gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import roi_align as torchvision_roi_align

from unipan.ops.roi_align import roi_align

SHAPE = (2, 3, 9, 13)


def regions(seed: int, count: int) -> torch.Tensor:
    """Of both images; many reach beyond the map or are thinner than a cell."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(count, 2, generator=generator, dtype=torch.float64) * torch.tensor([70.0, 50.0]) - 15
    sides = torch.rand(count, 2, generator=generator, dtype=torch.float64) ** 3 * 60
    image = torch.randint(0, SHAPE[0], (count, 1), generator=generator).double()
    return torch.cat([image, first, first + sides], 1)


@given(seed=st.integers(0, 9999), count=st.integers(0, 20), size=st.sampled_from([1, 2, 7]))
def test_values_and_gradients_are_torchvisions(seed: int, count: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(SHAPE, generator=generator, dtype=torch.float64, requires_grad=True)
    boxes = regions(seed, count)
    expected = torchvision_roi_align(features, boxes, size, 0.25, 2)
    found = roi_align(features, boxes, size, 0.25)
    assert torch.equal(found, expected)
    slope = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(found, features, slope)
    (reference,) = torch.autograd.grad(expected, features, slope)
    torch.testing.assert_close(gradient, reference, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (1, 2, 1, 5), (1, 2, 4, 1)])
def test_maps_of_one_row_or_column(shape: tuple[int, ...]) -> None:
    features = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0, -3.0, -3.0, 30.0, 30.0], [0, 1.0, 1.0, 2.0, 2.0]], dtype=torch.float64)
    expected = torch.autograd.grad(torchvision_roi_align(features, boxes, 3, 0.25, 2).square().sum(), features)
    torch.testing.assert_close(torch.autograd.grad(roi_align(features, boxes, 3, 0.25).square().sum(), features), expected)
