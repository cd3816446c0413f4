"""The arg max of upsampled logits, against upsampling them all."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis.strategies import booleans, integers, tuples
from torch import Tensor

from unipan.ops import argmax
from unipan.ops.argmax import resized_argmax, upsampled_argmax
from unipan.ops.upsample import upsample_logits

INF, NAN = float("inf"), float("nan")


def drawn(seed: int, channels: int, height: int, width: int, *, smooth: bool) -> Tensor:
    """Logits of the cells of height x width pixels, float64. smooth: in large patches, as a trained network's."""
    draw = torch.Generator().manual_seed(seed)
    cells = torch.randn(channels, -(-height // 4), -(-width // 4), generator=draw, dtype=torch.float64)
    return cells.cumsum(1).cumsum(2) if smooth else cells


@given(integers(0, 10**6), integers(1, 40), integers(1, 30), integers(1, 30), booleans())
def test_equals_the_arg_max_of_all_pixels(seed: int, channels: int, height: int, width: int, smooth: bool) -> None:
    logits = drawn(seed, channels, height, width, smooth=smooth)
    expected = upsample_logits(logits, (height, width)).argmax(0).int()
    assert torch.equal(upsampled_argmax(logits, (height, width)), expected)


@given(integers(0, 10**6), tuples(*[integers(1, 30)] * 4), integers(1, 40), booleans())
def test_resized_equals_the_arg_max_of_all_pixels(
    seed: int, sides: tuple[int, int, int, int], channels: int, smooth: bool
) -> None:
    middle, size = (sides[0], sides[1]), (sides[2], sides[3])
    logits = drawn(seed, channels, *middle, smooth=smooth)
    resized = F.interpolate(upsample_logits(logits, middle)[None], size, mode="bilinear")[0]
    assert torch.equal(resized_argmax(logits, middle, size), resized.argmax(0).int())


@given(integers(0, 10**6))
def test_of_equal_channels_the_first(seed: int) -> None:
    logits = torch.randint(0, 3, (5, 3, 4), generator=torch.Generator().manual_seed(seed)).float()  # exact in any order of sums
    pixels = upsample_logits(logits, (12, 16))
    assert torch.equal(upsampled_argmax(logits, (12, 16)), (pixels == pixels.amax(0)).int().argmax(0).int())


def test_in_many_parts_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = drawn(0, 20, 50, 70, smooth=False)
    whole, resized = upsampled_argmax(logits, (50, 70)), resized_argmax(logits, (50, 70), (80, 60))
    monkeypatch.setattr(argmax, "AT_ONCE", 1000)
    assert torch.equal(upsampled_argmax(logits, (50, 70)), whole)
    assert torch.equal(resized_argmax(logits, (50, 70), (80, 60)), resized)


def test_nothing_is_chosen_where_nothing_can_be() -> None:
    logits = torch.full((2, 1, 3), -INF)
    logits[1, 0, 0] = -5.0
    assert upsampled_argmax(logits, (4, 12))[0].tolist() == [1, 1] + [2] * 10  # right of the cell's centre -inf has a share
    logits[0, 0, 2] = NAN
    assert upsampled_argmax(logits, (4, 12))[0].tolist() == [1, 1] + [2] * 10


@pytest.mark.parametrize("size", [(40, 40), (53, 80), (10, 7)])
def test_a_channel_that_can_never_be_chosen_changes_nothing(size: tuple[int, int]) -> None:
    logits = drawn(0, 6, 40, 40, smooth=False)
    never = torch.cat([logits[:3], torch.full_like(logits[:1], -INF), logits[3:]])
    expected = resized_argmax(logits, (40, 40), size)
    assert torch.equal(resized_argmax(never, (40, 40), size), expected + (expected >= 3))


def test_autocast_rounds_nothing() -> None:
    logits = drawn(0, 400, 40, 40, smooth=False).float()
    expected = upsampled_argmax(logits, (40, 40)), resized_argmax(logits, (40, 40), (50, 30))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = upsampled_argmax(logits, (40, 40)), resized_argmax(logits, (40, 40), (50, 30))
    assert all(map(torch.equal, found, expected))


def test_cells_of_another_image_are_refused() -> None:
    with pytest.raises(AssertionError, match="40x40 has"):
        upsampled_argmax(torch.zeros(2, 5, 5), (40, 40))


def test_the_logits_stay_as_they_are() -> None:
    logits = drawn(0, 3, 9, 9, smooth=False)
    before = logits.clone()
    upsampled_argmax(logits, (9, 9))
    assert torch.equal(logits, before)
