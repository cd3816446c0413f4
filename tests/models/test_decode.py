"""Decoding against torch's own arg max over all channels at full resolution, and by hand."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.classes import ClassTable
from unipan.models.decode import best_channel, decode
from unipan.types import Detections, PanopticMap, Size

NETWORK_SIZE = (23, 37)
CELLS = (6, 10)


def random_logits(channels: int) -> Tensor:
    return torch.randn(channels, *CELLS, generator=torch.Generator().manual_seed(channels))


def detections(labels: list[int], scores: list[float]) -> Detections:
    return Detections(torch.zeros(len(labels), 4), torch.tensor(scores), torch.tensor(labels, dtype=torch.int64), None)


def written_out(logits: Tensor, size: Size) -> Tensor:
    pixels = F.interpolate(logits[None], scale_factor=4, mode="bilinear")[:, :, : NETWORK_SIZE[0], : NETWORK_SIZE[1]]
    return F.interpolate(pixels, size, mode="bilinear")[0].argmax(0).int()


@pytest.mark.parametrize("size", [NETWORK_SIZE, (46, 74), (11, 90), (1, 1)])
@pytest.mark.parametrize("channels", [1, 2, 16, 53])
def test_equals_arg_max_over_everything(channels: int, size: Size) -> None:
    best = best_channel(random_logits(channels), NETWORK_SIZE, size)
    assert torch.equal(best, written_out(random_logits(channels), size))


def test_logits_below_zero_and_of_half_precision_have_a_winner() -> None:
    logits = (random_logits(20) - 1000).bfloat16()
    assert torch.equal(best_channel(logits, NETWORK_SIZE, NETWORK_SIZE), written_out(logits.float(), NETWORK_SIZE))


def quarters(class_table: Callable[[str], ClassTable], size: Size, void_wins: bool) -> PanopticMap:
    """An answer of 2 x 2 cells, each won by one of: stuff s and g, a C of score 0.75, a B of score 0.5; the next B wins nowhere.

    With `void_wins` the void channel takes the last cell from the first B.
    """
    logits = torch.zeros(6, 2, 2)
    logits[torch.tensor([0, 1, 2, 5 if void_wins else 3]), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])] = 1
    found = detections([3, 1, 1], [0.75, 0.5, 0.25])
    return decode(logits, found, network_size=(8, 8), size=size, classes=class_table("sBgC"))


@pytest.mark.parametrize("factor", [1, 3])
def test_segments_by_hand(class_table: Callable[[str], ClassTable], factor: int) -> None:
    side = 4 * factor
    answer = quarters(class_table, (2 * side, 2 * side), void_wins=False)
    assert answer.ids.dtype == torch.int32
    row = lambda left, right: [[left] * side + [right] * side] * side  # noqa: E731
    assert answer.ids.tolist() == row(1, 2) + row(3, 4)
    found = [(s.id, s.class_index, s.name, s.is_thing, s.is_crowd, s.score, s.area, s.box) for s in answer.segments]
    assert found == [
        (1, 0, "s", False, False, 1.0, side * side, (0, 0, side, side)),
        (2, 2, "g", False, False, 1.0, side * side, (side, 0, 2 * side, side)),
        (3, 3, "C", True, False, 0.75, side * side, (0, side, side, 2 * side)),
        (4, 1, "B", True, False, 0.5, side * side, (side, side, 2 * side, 2 * side)),
    ]


def test_where_the_void_channel_wins_the_answer_is_void(class_table: Callable[[str], ClassTable]) -> None:
    answer = quarters(class_table, (8, 8), void_wins=True)
    assert answer.ids[:4].all()
    assert answer.ids[4:, :4].all()
    assert not answer.ids[4:, 4:].any()
    assert [segment.name for segment in answer.segments] == ["s", "g", "C"]


def test_without_any_channel_all_is_void(class_table: Callable[[str], ClassTable]) -> None:
    answer = decode(
        torch.zeros(0, *CELLS), detections([], []), network_size=NETWORK_SIZE, size=(46, 74), classes=class_table("BC")
    )
    assert answer.ids.shape == (46, 74)
    assert not answer.ids.any()
    assert answer.segments == ()
