"""The arg max of convexly upsampled logits, against upsampling them all."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis.strategies import booleans, integers, tuples
from torch import Tensor

from unipan.ops import convex_argmax as module
from unipan.ops.convex_argmax import convex_argmax, resized_convex_argmax
from unipan.ops.upsample import upsample_logits


def drawn(seed: int, channels: int, height: int, width: int, *, smooth: bool) -> tuple[Tensor, Tensor]:
    """Logits and weights of the cells of height x width pixels, float64. smooth: in large patches, as a trained network's."""
    draw = torch.Generator().manual_seed(seed)
    rows, columns = -(-height // 4), -(-width // 4)
    cells = torch.randn(channels, rows, columns, generator=draw, dtype=torch.float64)
    weights = (3 * torch.randn(9, 16, rows, columns, generator=draw, dtype=torch.float64)).softmax(0)
    return cells.cumsum(1).cumsum(2) if smooth else cells, weights


@given(integers(0, 10**6), integers(1, 40), integers(1, 30), integers(1, 30), booleans())
def test_equals_the_arg_max_of_all_pixels(seed: int, channels: int, height: int, width: int, smooth: bool) -> None:
    logits, weights = drawn(seed, channels, height, width, smooth=smooth)
    expected = upsample_logits(logits, (height, width), weights).argmax(0).int()
    assert torch.equal(convex_argmax(logits, weights, (height, width)), expected)


@given(integers(0, 10**6), tuples(*[integers(1, 30)] * 4), integers(1, 40), booleans())
def test_resized_equals_the_arg_max_of_all_pixels(
    seed: int, sides: tuple[int, int, int, int], channels: int, smooth: bool
) -> None:
    middle, size = (sides[0], sides[1]), (sides[2], sides[3])
    logits, weights = drawn(seed, channels, *middle, smooth=smooth)
    resized = F.interpolate(upsample_logits(logits, middle, weights)[None], size, mode="bilinear")[0]
    assert torch.equal(resized_convex_argmax(logits, weights, middle, size), resized.argmax(0).int())


def test_in_many_parts_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, weights = drawn(0, 20, 50, 70, smooth=False)
    whole, resized = convex_argmax(logits, weights, (50, 70)), resized_convex_argmax(logits, weights, (50, 70), (80, 60))
    monkeypatch.setattr(module, "AT_ONCE", 1000)
    assert torch.equal(convex_argmax(logits, weights, (50, 70)), whole)
    assert torch.equal(resized_convex_argmax(logits, weights, (50, 70), (80, 60)), resized)


def test_autocast_rounds_nothing() -> None:
    logits, weights = (x.float() for x in drawn(0, 400, 40, 40, smooth=False))
    expected = convex_argmax(logits, weights, (40, 40)), resized_convex_argmax(logits, weights, (40, 40), (50, 30))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = convex_argmax(logits, weights, (40, 40)), resized_convex_argmax(logits, weights, (40, 40), (50, 30))
    assert all(map(torch.equal, found, expected))


def test_cells_of_another_image_are_refused() -> None:
    with pytest.raises(AssertionError, match="40x40 has"):
        convex_argmax(torch.zeros(2, 5, 5), torch.zeros(9, 16, 5, 5), (40, 40))


def test_the_logits_stay_as_they_are() -> None:
    logits, weights = drawn(0, 3, 9, 9, smooth=False)
    before = logits.clone()
    convex_argmax(logits, weights, (9, 9))
    assert torch.equal(logits, before)
