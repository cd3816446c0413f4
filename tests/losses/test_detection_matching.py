import torch
from hypothesis import given, settings
from hypothesis.strategies import integers
from torch import Tensor
from torchvision.ops import box_iou

from unipan.losses.detection_matching import MIN_IOU, match_detections
from unipan.types import Target

SQUARE = [0.0, 0.0, 10.0, 10.0]


def truth(boxes: list[list[float]], labels: list[int]) -> Target:
    empty = torch.zeros(0, 0)
    return Target(
        boxes=torch.tensor(boxes).view(-1, 4), labels=torch.tensor(labels).long(), instances=empty.int(), semantic=empty.byte()
    )


def match(boxes: list[list[float]], labels: list[int], target: Target) -> list[int]:
    matched = match_detections(torch.tensor(boxes).view(-1, 4), torch.tensor(labels).long(), target)
    assert matched.dtype == torch.int64
    return matched.tolist()


def test_the_closer_of_two_detections_takes_the_thing() -> None:
    rough, close = [0.0, 0.0, 10.0, 7.0], [0.0, 0.0, 10.0, 9.0]
    assert match([rough, close], [1, 1], truth([SQUARE], [1])) == [-1, 0]


def test_of_equals_the_better_scored_takes_the_thing() -> None:
    assert match([SQUARE, SQUARE], [1, 1], truth([SQUARE], [1])) == [0, -1]


def test_the_loser_may_take_its_second_choice() -> None:
    things = truth([SQUARE, [0.0, 0.0, 10.0, 6.0]], [1, 1])
    exact, between = SQUARE, [0.0, 0.0, 10.0, 8.5]
    assert match([between, exact], [1, 1], things) == [1, 0]


def test_a_detection_takes_one_thing_alone() -> None:
    things = truth([SQUARE, [0.0, 0.0, 10.0, 9.0]], [1, 1])
    exact, small = SQUARE, [0.0, 0.0, 10.0, 6.0]
    assert match([exact, small], [1, 1], things) == [0, 1]  # though `exact` is the closer one to both


def test_another_class_is_no_match() -> None:
    assert match([SQUARE], [2], truth([SQUARE], [1])) == [-1]
    assert match([SQUARE, SQUARE], [2, 1], truth([SQUARE, SQUARE], [1, 2])) == [1, 0]


def test_half_overlap_is_no_match_and_a_little_more_is() -> None:
    things = truth([SQUARE], [1])
    assert match([[0.0, 0.0, 10.0, 5.0]], [1], things) == [-1]
    assert match([[0.0, 0.0, 10.0, 5.001]], [1], things) == [0]


def test_nothing_on_either_side() -> None:
    assert match([], [], truth([SQUARE], [1])) == []
    assert match([SQUARE], [1], truth([], [])) == [-1]
    assert match([], [], truth([], [])) == []


def test_empty_boxes_and_nan_boxes_match_nothing_and_block_nobody() -> None:
    nan = [float("nan")] * 4
    assert match([nan, [3.0, 3.0, 3.0, 3.0], SQUARE], [1, 1, 1], truth([SQUARE], [1])) == [-1, -1, 0]


def greedy(boxes: Tensor, labels: Tensor, target: Target) -> list[int]:
    """The definition, pair by pair: the highest IoU first; of equals the earlier detection, then the earlier thing."""
    iou = box_iou(boxes, target.boxes).tolist()
    pairs = [(-iou[n][g], n, g) for n in range(len(labels)) for g in range(len(target.labels)) if labels[n] == target.labels[g]]
    matched = [-1] * len(labels)
    for negative, n, g in sorted(pairs):
        if -negative > MIN_IOU and matched[n] < 0 and g not in matched:
            matched[n] = g
    return matched


@given(integers(0, 10**6), integers(0, 12), integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_equals_the_definition_pair_by_pair(seed: int, num: int, num_true: int) -> None:
    draw = torch.Generator().manual_seed(seed)

    def boxes(number: int) -> Tensor:
        corners = torch.randint(0, 4, (number, 2), generator=draw)  # a coarse grid: many equal overlaps
        return torch.cat([corners, corners + torch.randint(4, 9, (number, 2), generator=draw)], 1).float()

    labels, true_labels = (torch.randint(0, 2, (number,), generator=draw) for number in (num, num_true))
    found, target = boxes(num), truth(boxes(num_true).tolist(), true_labels.tolist())
    assert match_detections(found, labels, target).tolist() == greedy(found, labels, target)


def test_no_gradient() -> None:
    boxes: Tensor = torch.tensor([SQUARE], requires_grad=True)
    assert not match_detections(boxes, torch.tensor([1]), truth([SQUARE], [1])).requires_grad
