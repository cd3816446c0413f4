"""Each kind of error by hand, planted and counted, and against an oracle of pixel sets; repairs against maps repaired by hand."""

from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from errors_oracle import Pair
from hypothesis import given, settings
from test_pq import CLASSES, small_pairs, strip

from unipan.metrics.pq import count, quality
from unipan.metrics.score import Score
from unipan.metrics.segment_errors import KINDS, NO_ERROR, SegmentErrors, error_kinds
from unipan.metrics.segment_matching import match_maps
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

SIDE, FIVE = 12, 5
FIELDS = (*KINDS, "right")
CAT, DOG, SKY = range(3)


def kinds(predicted: str, true: str) -> tuple[dict[str, str], dict[str, str]]:
    """The kind of error of each letter that has one: true segments, predicted ones."""
    maps = strip(predicted), strip(true)
    missed, false, _ = error_kinds(match_maps(*maps))
    sides = zip((missed, false), (maps[1], maps[0]), strict=True)
    true_kinds, predicted_kinds = (
        {chr(segment.id): KINDS[kind] for segment, kind in zip(side.segments, own, strict=True) if kind != NO_ERROR}
        for own, side in sides
    )
    return true_kinds, predicted_kinds


@pytest.mark.parametrize(
    ("predicted", "true", "of_true", "of_predicted"),
    [
        pytest.param("aaaassss", "aaaassss", {}, {}, id="right"),
        pytest.param("iiiissss", "aaaassss", {"a": "wrong class"}, {"i": "wrong class"}, id="wrong class"),
        pytest.param("iiiissssii", "aaaassssss", {"a": "wrong class"}, {"i": "wrong class"}, id="wrong class, badly outlined"),
        pytest.param("iissssss", "aaaassss", {"a": "missed"}, {"i": "extra"}, id="half of it in another class"),
        pytest.param("aaaaaaaa", "aaaabbbb", {"a": "merged", "b": "merged"}, {"a": "merged"}, id="merged"),
        pytest.param("aaaaaaaa", "aaaaaabb", {"b": "merged"}, {}, id="a small one swallowed by one that matches"),
        pytest.param("aaaaasssss", "aaaaabbsss", {"b": "missed"}, {}, id="swallowed by another class"),
        pytest.param("aaaabbbb", "aaaaaaaa", {"a": "split"}, {"a": "split", "b": "split"}, id="split"),
        pytest.param("aaaaaabb", "aaaaaaaa", {}, {"b": "split"}, id="a piece beside one that matches"),
        pytest.param("aab.....ss", "aaaaaaaass", {"a": "badly outlined"}, {"a": "badly outlined", "b": "badly outlined"}, id="2"),
        pytest.param("aassssssssssss", "aaaaaassssssss", {"a": "badly outlined"}, {"a": "badly outlined"}, id="badly outlined"),
        pytest.param("a" + 9 * ".", 10 * "a", {"a": "badly outlined"}, {"a": "badly outlined"}, id="an IoU of 0.1"),
        pytest.param("a" + 10 * ".", 11 * "a", {"a": "missed"}, {"a": "extra"}, id="an IoU under 0.1"),
        pytest.param("aassssssssss", "sssssssssaaa", {"a": "missed"}, {"a": "extra"}, id="elsewhere"),
        pytest.param("....aaaa", "AAAAaaaa", {}, {}, id="a crowd is not missed"),
        pytest.param("bbbbaaaa", "AAAAaaaa", {}, {}, id="forgiven by a crowd"),
        pytest.param("bbbbaaaa", "....aaaa", {}, {}, id="forgiven by void"),
        pytest.param("aaaaaiii", "aa...iii", {}, {}, id="void counts for nothing"),
        pytest.param("iiii", "AAAA", {}, {"i": "extra"}, id="another class on a crowd"),
        pytest.param("", "", {}, {}, id="nothing"),
    ],
)  # fmt: skip
def test_kinds_of_a_strip(predicted: str, true: str, of_true: dict[str, str], of_predicted: dict[str, str]) -> None:
    assert kinds(predicted, true) == (of_true, of_predicted)


def planted() -> tuple[PanopticMap, PanopticMap]:
    """A prediction with five errors of each kind and five right cats; a field of the truth has two cats, one or none."""
    true, predicted = (torch.full((FIVE * SIDE, len(FIELDS) * SIDE), 1000, dtype=torch.int32) for _ in range(2))
    labels: dict[str, list[Label]] = {"true": [Label(1000, SKY)], "predicted": [Label(1000, SKY)]}

    def draw(side: str, field: tuple[int, int], columns: slice, class_index: int) -> None:
        number = len(labels[side])
        y, x = SIDE * field[0] + 2, SIDE * field[1]
        {"true": true, "predicted": predicted}[side][y : y + 6, x + columns.start : x + columns.stop] = number
        labels[side].append(Label(number, class_index))

    whole, left, right = slice(2, 10), slice(2, 6), slice(6, 10)
    for row, (column, kind) in product(range(FIVE), enumerate(FIELDS)):
        field = row, column
        for part in {"merged": [left, right], "extra": []}.get(kind, [whole]):
            draw("true", field, part, CAT)
        found = {"split": [left, right], "badly outlined": [slice(7, 12)], "missed": []}.get(kind, [whole])
        for part in found:
            draw("predicted", field, part, DOG if kind == "wrong class" else CAT)
    return panoptic_map(predicted, labels["predicted"], CLASSES), panoptic_map(true, labels["true"], CLASSES)


def test_five_planted_errors_of_each_kind_are_counted() -> None:
    predicted, true = planted()
    report = Score.of(match_maps(predicted, true), 3).report("here", CLASSES)
    numbers = {one.kind: (one.missed, one.false) for one in report.errors.kinds}
    assert numbers == {
        "wrong class": (FIVE, FIVE),
        "merged": (2 * FIVE, FIVE),
        "split": (FIVE, 2 * FIVE),
        "badly outlined": (FIVE, FIVE),
        "missed": (FIVE, 0),
        "extra": (0, FIVE),
    }
    by_class = {entry.name: (entry.missed, entry.false) for entry in report.errors.kinds[0].per_class}
    assert by_class == {"cat": (FIVE, 0), "dog": (0, FIVE)}
    first = report.errors.kinds[0]
    assert (first.small, first.medium, first.large) == (2 * FIVE, 0, 0)  # 48 pixels each


@pytest.mark.parametrize("kind", KINDS)
def test_the_price_is_the_quality_of_the_planted_map_repaired_by_hand(kind: str) -> None:
    predicted, true = planted()
    report = Score.of(match_maps(predicted, true), 3).report("here", CLASSES)
    own = report.errors.kinds[KINDS.index(kind)]
    by_hand = quality(count(Pair(predicted, true).repaired(kind, CLASSES), true, 3), CLASSES)
    found = (own.pq_all_if_repaired, own.pq_things_if_repaired, own.pq_stuff_if_repaired)
    assert found == (by_hand.all.pq, by_hand.things.pq, by_hand.stuff.pq)
    assert found[0] > report.quality.all.pq
    assert [entry.pq_if_repaired for entry in own.per_class if entry.name == "cat"] == [by_hand.per_class[CAT].pq]


@settings(max_examples=150, deadline=None)
@given(small_pairs())
def test_kinds_and_repairs_equal_the_oracles(pair: tuple[PanopticMap, PanopticMap]) -> None:
    predicted, true = pair
    expected = Pair(predicted, true)
    found = match_maps(predicted, true)
    missed, false, _ = error_kinds(found)
    of_true = {segment.id: KINDS[kind] for segment, kind in zip(true.segments, missed, strict=True) if kind != NO_ERROR}
    of_predicted = {segment.id: KINDS[kind] for segment, kind in zip(predicted.segments, false, strict=True) if kind != NO_ERROR}
    assert (of_true, of_predicted) == (expected.missed, expected.false)
    errors = SegmentErrors.of(found, 3)
    assert Counter(of_true.values()) == dict_of(errors.missed.sum(1))
    assert Counter(of_predicted.values()) == dict_of(errors.false.sum(1))
    assert np.array_equal(errors.sizes.sum(1), (errors.missed + errors.false).sum(1))
    for index, kind in enumerate(KINDS):
        for slot, row in enumerate(expected.counts_if_repaired(kind, CLASSES)):
            counts = errors.repaired
            assert [int(part[index, slot]) for part in (counts.matched, counts.extra, counts.missed)] == row[1:]
            assert abs(Fraction(float(counts.iou_sum[index, slot])) - row[0]) < Fraction(1, 10**11)


def dict_of(numbers: np.ndarray) -> dict[str, int]:
    return {kind: number for kind, number in zip(KINDS, numbers.tolist(), strict=True) if number}


def test_every_missed_and_false_segment_has_one_kind_and_images_add() -> None:
    pairs = [planted(), (strip("iiiissss"), strip("aaaassss"))]
    total = sum((Score.of(match_maps(*pair), 3) for pair in pairs), Score.zero(3))
    assert np.array_equal(total.errors.missed.sum(0), total.segments.missed)
    assert np.array_equal(total.errors.false.sum(0), total.segments.extra)
    assert total.report("here", CLASSES).errors.kinds[0].missed == FIVE + 1
    assert {one.missed for one in Score.zero(3).report("none", CLASSES).errors.kinds} == {0}
