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
