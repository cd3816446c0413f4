"""Calibration of scores by hand."""

from math import isnan

import pytest
import torch
from test_pq import CLASSES, strip

from unipan.metrics.calibration import Calibration
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import match_maps
from unipan.ops.segments import Label, panoptic_map


def found_in(*rows: tuple[str, str, dict[str, float]]) -> Calibration | None:
    """Each row: prediction, truth, and the scores of the prediction's letters; cats a-h, dogs i-p, sky s-z."""
    total = Score.zero(3)
    for predicted, true, scores in rows:
        plain = strip(predicted)
        labels = [Label(one.id, one.class_index, score=scores.get(chr(one.id), 1.0)) for one in plain.segments]
        scored = panoptic_map(torch.as_tensor(plain.ids), labels, CLASSES)
        total += Score.of(match_maps(scored, strip(true)), 3)
    return total.report("here", CLASSES).calibration


def test_the_share_of_right_things_is_held_against_their_mean_score() -> None:
    found = found_in(("aabbiis", "aassiis", {"a": 0.8, "b": 0.88, "i": 1.0}), ("aasss", "aasss", {"a": 0.84}))
    nine, ten = found.bins[8:]
    assert (nine.things, nine.matched) == (3, pytest.approx(2 / 3))
    assert nine.mean_score == pytest.approx(0.84)
    assert (ten.things, ten.matched, ten.mean_score) == (1, 1, 1)
    assert found.error == pytest.approx((3 * (0.84 - 2 / 3) + 0) / 4)
    assert found.per_class[:2] == pytest.approx((0.84 - 2 / 3, 0))
    assert isnan(found.per_class[2])
    assert isnan(found.bins[0].mean_score)


def test_forgiven_things_and_stuff_do_not_count() -> None:
    assert sum(one.things for one in found_in(("aabbss", "aaAAss", {"a": 0.9, "b": 0.3})).bins) == 1


def test_answers_without_scores_have_no_calibration() -> None:
    assert found_in(("aabbss", "aaaass", {})) is None
    assert found_in(("ssssss", "aaaass", {})) is None


def test_it_stands_in_tables_and_json() -> None:
    plain = strip("aass")
    labels = [Label(one.id, one.class_index, score=0.25 if one.is_thing else 1.0) for one in plain.segments]
    report = Score.of(match_maps(panoptic_map(plain.ids, labels, CLASSES), plain), 3).report("here", CLASSES)
    table = report.error_tables()[-1]
    assert table.heading == "Scores of things: expected calibration error 75.0 %"
    assert [str(column._cells[0]) for column in table.columns] == ["0.2 to 0.3", "1", "0.25", "100.0"]
    assert report.to_json()["calibration"]["error"] == 0.75
    assert report.to_json()["calibration"]["per_class"] == [0.75, None, None]
