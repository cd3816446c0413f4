"""Against torchvision's operator, in value and gradient."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import roi_align as torchvision_roi_align

from unipan.ops.roi_align import level_by_level, roi_align

SHAPE = (2, 3, 9, 13)
SCALES = (1 / 3, 0.125, 0.0625)


def regions(seed: int, count: int) -> torch.Tensor:
    """Of both images; many reach beyond the map or are thinner than a cell."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.rand(count, 2, generator=generator, dtype=torch.float64) * torch.tensor([70.0, 50.0]) - 15
    sides = torch.rand(count, 2, generator=generator, dtype=torch.float64) ** 3 * 60
    image = torch.randint(0, SHAPE[0], (count, 1), generator=generator).double()
    return torch.cat([image, first, first + sides], 1)


def pyramid(generator: torch.Generator) -> list[torch.Tensor]:
    sizes = [(9, 13), (5, 7), (1, 2)]
    return [torch.randn(2, 3, *size, generator=generator, dtype=torch.float64, requires_grad=True) for size in sizes]


def by_torchvision(maps: list[torch.Tensor], boxes: torch.Tensor, level: torch.Tensor, size: int) -> torch.Tensor:
    """By torchvision's operator alone."""
    pooled = torch.zeros(len(boxes), 3, size, size, dtype=torch.float64)
    for number, (one, scale) in enumerate(zip(maps, SCALES, strict=True)):
        here = torch.where(level == number)[0]
        pooled = pooled.index_copy(0, here, torchvision_roi_align(one, boxes[here], size, scale, 2))
    return pooled


@pytest.mark.parametrize("form", [roi_align, level_by_level])  # on a CPU, and elsewhere
@given(seed=st.integers(0, 9999), count=st.integers(0, 20), size=st.sampled_from([1, 2, 7]))
def test_values_and_gradients_are_torchvisions(form: Callable[..., torch.Tensor], seed: int, count: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps, boxes = pyramid(generator), regions(seed, count)
    level = torch.randint(0, 3, (count,), generator=generator).double()
    expected = by_torchvision(maps, boxes, level, size)
    found = form(maps, SCALES, boxes, level, size)
    assert torch.equal(found, expected)
    slope = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    gradients, references = (torch.autograd.grad(pooled, maps, slope) for pooled in (found, expected))
    torch.testing.assert_close(gradients, references, atol=1e-12, rtol=1e-12)
    assert all(gradient.is_contiguous() for gradient in gradients)


@pytest.mark.parametrize("nowhere", [-1.0, 0.5, 3.0, float("nan")])
def test_a_region_of_no_level_is_zero_and_has_no_gradient(nowhere: float) -> None:
    maps = pyramid(torch.Generator().manual_seed(0))
    boxes = regions(0, 3)
    boxes[1, 1:] = float("nan")
    pooled = roi_align(maps, SCALES, boxes, torch.tensor([0.0, nowhere, 2.0]), 2)
    assert torch.equal(pooled[1], torch.zeros(3, 2, 2, dtype=torch.float64))
    without = roi_align(maps, SCALES, boxes[[0, 2]], torch.tensor([0.0, 2.0]), 2)
    assert torch.equal(pooled[[0, 2]], without)
    gradients, references = (torch.autograd.grad(rows.square().sum(), maps) for rows in (pooled, without))
    torch.testing.assert_close(gradients, references, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (1, 2, 1, 5), (1, 2, 4, 1)])
def test_maps_of_one_row_or_column(shape: tuple[int, ...]) -> None:
    features = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0, -3.0, -3.0, 30.0, 30.0], [0, 1.0, 1.0, 2.0, 2.0]], dtype=torch.float64)
    expected = torch.autograd.grad(torchvision_roi_align(features, boxes, 3, 0.25, 2).square().sum(), features)
    found = roi_align([features], [0.25], boxes, torch.zeros(2), 3)
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), features), expected)
