"""Coverage against counting, pasting against torchvision, and gradients of both by finite differences."""

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from unipan.ops.boxes import coverage, paste_masks


def random_boxes(count: int, height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Boxes of all sizes, some reaching over the border."""
    random = torch.Generator().manual_seed(count)
    corners = torch.rand(count, 2, 2, generator=random, dtype=torch.float64)
    corners = (corners * 1.4 - 0.2) * torch.tensor([width, height])
    return torch.cat([corners.amin(1), corners.amax(1)], 1).to(dtype)


def counted_coverage(boxes: Tensor, height_cells: int, width_cells: int, stride: int, fine: int) -> Tensor:
    """Brute force: the share of a cell's sample points that lie in the box, `fine` of them along each pixel's side."""
    y = (torch.arange(height_cells * stride * fine, dtype=boxes.dtype) + 0.5) / fine
    x = (torch.arange(width_cells * stride * fine, dtype=boxes.dtype) + 0.5) / fine
    x1, y1, x2, y2 = (side[:, None] for side in boxes.unbind(1))
    inside = ((y > y1) & (y < y2))[:, :, None] & ((x > x1) & (x < x2))[:, None, :]
    side = stride * fine
    return inside.double().view(len(boxes), height_cells, side, width_cells, side).mean((2, 4))


@pytest.mark.parametrize("stride", [1, 4])
def test_coverage_equals_counting(stride: int) -> None:
    boxes = random_boxes(12, 6 * stride, 9 * stride)
    boxes = (boxes * 8).round() / 8  # on the fine grid of the count, which then is exact
    torch.testing.assert_close(coverage(boxes, 6, 9, stride), counted_coverage(boxes, 6, 9, stride, fine=8))


@pytest.mark.parametrize("image_size", [(21, 34), (24, 33), (23, 36)])
def test_of_a_last_cell_only_the_part_within_the_image_counts(image_size: tuple[int, int]) -> None:
    """Boxes on whole pixels, so the share of a cell's pixels that lie in the image and in the box is exact."""
    height, width = image_size
    boxes = torch.cat([random_boxes(12, height, width).round(), torch.tensor([[0, 0, width, height]])])
    pixels = coverage(boxes, height, width, stride=1)
    padded = torch.nn.functional.pad(torch.cat([pixels, torch.ones_like(pixels[:1])]), (0, 36 - width, 0, 24 - height))
    sums = padded.view(-1, 6, 4, 9, 4).sum((2, 4))
    torch.testing.assert_close(coverage(boxes, 6, 9, image_size=torch.tensor(image_size)), sums[:-1] / sums[-1])


def test_coverage_is_one_inside_zero_outside_and_a_fraction_between() -> None:
    cover = coverage(torch.tensor([[4.0, 0, 14, 6]]), 3, 5)
    assert cover[0].tolist() == [[0, 1, 1, 0.5, 0], [0, 0.5, 0.5, 0.25, 0], [0, 0, 0, 0, 0]]


def test_a_box_inside_one_cell_is_not_lost() -> None:
    assert coverage(torch.tensor([[5.0, 5, 6, 7]]), 2, 2)[0, 1, 1] == 2 / 16


def test_a_box_without_area_covers_nothing() -> None:
    boxes = torch.tensor([[3.0, 3, 3, 9], [3, 3, 9, 3], [5, 5, 2, 2], [-9, -9, -1, -1], [90, 90, 99, 99]])
    assert not coverage(boxes, 4, 4).any()


def test_coverage_follows_the_box() -> None:
    boxes = random_boxes(6, 24, 36).requires_grad_()
    assert torch.autograd.gradcheck(lambda b: coverage(b, 6, 9), boxes)


def test_no_boxes() -> None:
    assert coverage(torch.zeros(0, 4), 3, 5).shape == (0, 3, 5)
    assert paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), 3, 5).shape == (0, 3, 5)


def disc_logits(points: int) -> Tensor:
    """One mask: a disc that touches the sides of its box, with a soft edge."""
    axis = (torch.arange(points, dtype=torch.float64) + 0.5) / points * 2 - 1
    return 8 * (0.9 - (axis[:, None].square() + axis.square()).sqrt())[None]


def test_pasting_a_mask_of_the_box_s_own_size_copies_it() -> None:
    logits = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pasted = paste_masks(logits, torch.tensor([[2.0, 3, 8, 9]], dtype=torch.float64), 12, 11, stride=1)
    torch.testing.assert_close(pasted[:, 3:9, 2:8], logits.sigmoid())
    pasted[:, 3:9, 2:8] = 0
    assert not pasted.any()


@pytest.mark.parametrize("box", [(10, 8, 38, 36), (2, 3, 58, 31), (5, 7, 61, 63), (3, 3, 94, 50), (20, 20, 29, 27)])
def test_pasting_agrees_with_torchvision(box: tuple[int, int, int, int]) -> None:
    """Torchvision counts the last column and row into the box and cuts the box, widened by a ring of zeros, to whole pixels.

    A box that ends half a pixel earlier there is the same box. Then values are equal where a mask point is a whole number of
    pixels; elsewhere its cut shifts the mask by less than a pixel, and the masks agree but for their outline.
    """
    x1, y1, x2, y2 = box
    logits = disc_logits(28)
    boxes = torch.tensor([box], dtype=torch.float64)
    mine = paste_masks(logits, boxes, 70, 100, stride=1)
    ends = torch.tensor([0, 0, 0.5, 0.5], dtype=torch.float64)
    theirs = paste_masks_in_image(logits.sigmoid()[:, None], boxes - ends, (70, 100))[:, 0]
    if (x2 - x1) % 28 == 0 and (y2 - y1) % 28 == 0:
        torch.testing.assert_close(mine[:, y1:y2, x1:x2], theirs[:, y1:y2, x1:x2])
    both, either = ((mine > 0.5) & (theirs > 0.5)).sum(), ((mine > 0.5) | (theirs > 0.5)).sum()
    half_outline = x2 - x1 + y2 - y1
    assert both > 0
    assert either - both < half_outline


def test_a_coarse_map_samples_cell_centres() -> None:
    """A cell's centre at stride 4 is the common corner of its four middle pixels, so their mean is its value on a linear mask."""
    ramp = torch.linspace(0.1, 0.9, 16, dtype=torch.float64).expand(1, 16, 16)
    box = torch.tensor([[8.0, 4, 40, 36]], dtype=torch.float64)
    fine = paste_masks(ramp.logit(), box, 48, 48, stride=1)
    middle = fine.view(1, 12, 4, 12, 4)[:, :, 1:3, :, 1:3].mean((2, 4))
    torch.testing.assert_close(paste_masks(ramp.logit(), box, 12, 12, stride=4)[:, 1:9, 2:10], middle[:, 1:9, 2:10])


def test_a_mask_in_a_box_smaller_than_a_cell_is_not_lost() -> None:
    """The box lies beside the cell's centre, (6, 6); its middle is sampled instead."""
    pasted = paste_masks(disc_logits(28), torch.tensor([[4.0, 4, 5, 5]], dtype=torch.float64), 3, 3)
    assert pasted[0, 1, 1] > 0.9
    assert pasted.count_nonzero() == 1


def test_pasting_a_box_without_area_is_zero_and_has_finite_gradients() -> None:
    boxes = torch.tensor([[6.0, 6, 6, 6], [6, 2, 6, 9], [7, 7, 3, 3], [2, 2, 2.0000005, 9]], requires_grad=True)
    logits = torch.zeros(4, 7, 7, requires_grad=True)
    pasted = paste_masks(logits, boxes, 4, 4)
    pasted.sum().backward()
    assert not pasted[:3].any()
    assert boxes.grad.isfinite().all()
    assert logits.grad.isfinite().all()


def test_pasting_follows_mask_and_box() -> None:
    random = torch.Generator().manual_seed(3)
    logits = torch.randn(5, 7, 7, generator=random, dtype=torch.float64, requires_grad=True)
    boxes = random_boxes(5, 24, 36).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, b: paste_masks(m, b, 6, 9), (logits, boxes))
