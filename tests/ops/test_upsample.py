import pytest
import torch
import torch.nn.functional as F

from unipan.ops.upsample import upsample_logits


def test_pixels_lie_between_cell_centres_and_the_excess_is_cut() -> None:
    full = upsample_logits(torch.tensor([[[0.0, 8.0]]]), (2, 7))
    assert full.shape == (1, 2, 7)
    assert full[0, 0].tolist() == [0, 0, 1, 3, 5, 7, 8]  # centres at 1.5 and 5.5; flat beyond them


@pytest.mark.parametrize("size", [(8, 12), (5, 9), (1, 1)])
def test_equals_interpolating_the_padded_image(size: tuple[int, int]) -> None:
    height, width = size
    cells = torch.randn(3, -(-height // 4), -(-width // 4), generator=torch.Generator().manual_seed(0))
    padded = F.interpolate(cells[None], size=(cells.shape[1] * 4, cells.shape[2] * 4), mode="bilinear")[0]
    torch.testing.assert_close(upsample_logits(cells, size), padded[:, :height, :width])


def test_no_channels_stay_in_the_graph() -> None:
    cells = torch.zeros(0, 2, 3, requires_grad=True)
    full = upsample_logits(cells, (7, 10))
    assert full.shape == (0, 7, 10)
    full.sum().backward()
    assert cells.grad is not None


def test_half_precision_is_lifted() -> None:
    assert upsample_logits(torch.zeros(1, 1, 1, dtype=torch.bfloat16), (4, 4)).dtype == torch.float32


def test_cells_of_another_image_are_refused() -> None:
    with pytest.raises(AssertionError, match="image of 8x8"):
        upsample_logits(torch.zeros(1, 3, 2), (8, 8))


def bilinear_weights(height: int, width: int) -> torch.Tensor:
    """(9, 16, height, width): each pixel's bilinear shares in the 3 x 3 cells around its own."""
    along = torch.zeros(3, 4, dtype=torch.float64)
    for pixel, (low, high) in enumerate([(0.375, 0.625), (0.125, 0.875), (0.875, 0.125), (0.625, 0.375)]):
        first = 0 if pixel < 2 else 1
        along[first, pixel], along[first + 1, pixel] = low, high
    return torch.einsum("ay,bx->abyx", along, along).reshape(9, 16, 1, 1).expand(9, 16, height, width)


@pytest.mark.parametrize("size", [(8, 12), (5, 9), (1, 1)])
def test_with_bilinear_weights_it_is_bilinear(size: tuple[int, int]) -> None:
    height, width = -(-size[0] // 4), -(-size[1] // 4)
    cells = torch.randn(3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(upsample_logits(cells, size, bilinear_weights(height, width)), upsample_logits(cells, size))


def test_a_pixel_takes_of_the_cells_around_what_its_weights_say() -> None:
    draw = torch.Generator().manual_seed(0)
    cells = torch.randn(2, 3, 4, generator=draw, dtype=torch.float64)
    weights = torch.rand(9, 16, 3, 4, generator=draw, dtype=torch.float64).softmax(0)
    found = upsample_logits(cells, (11, 14), weights)
    for y, x in [(0, 0), (10, 13), (5, 6), (7, 0), (3, 9)]:
        expected = torch.zeros(2, dtype=torch.float64)
        for down in range(3):
            for right in range(3):
                row, column = min(max(y // 4 + down - 1, 0), 2), min(max(x // 4 + right - 1, 0), 3)
                share = weights[3 * down + right, 4 * (y % 4) + x % 4, y // 4, x // 4]
                expected += share * cells[:, row, column]
        torch.testing.assert_close(found[:, y, x], expected)


def test_gradients_of_logits_and_weights() -> None:
    draw = torch.Generator().manual_seed(0)
    cells = torch.randn(2, 2, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(9, 16, 2, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c, w: upsample_logits(c, (7, 12), w.softmax(0)), (cells, weights))
