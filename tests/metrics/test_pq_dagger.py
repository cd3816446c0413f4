"""PQ-dagger by hand, and beside PQ where both must agree."""

from math import isnan

import pytest
from hypothesis import given, settings
from test_pq import CLASSES, small_pairs, strip

from unipan.metrics.report import Report
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import match_maps
from unipan.types import PanopticMap


def report_of(*pairs: tuple[PanopticMap, PanopticMap]) -> Report:
    """Pairs of prediction and truth."""
    return sum((Score.of(match_maps(*pair), 3) for pair in pairs), Score.zero(3)).report("here", CLASSES)


def test_stuff_has_the_iou_that_pq_throws_away() -> None:
    report = report_of((strip("aaaaaass"), strip("aaaassss")), (strip("ssssssss"), strip("ssssssss")))
    assert report.quality.stuff.pq == pytest.approx(1 / 2)  # one match; one miss and one extra of half a segment each
    assert report.pq_dagger.stuff == pytest.approx((2 / 4 + 1) / 2)
    assert report.pq_dagger.things == report.quality.things.pq == pytest.approx(4 / 6)
    assert report.pq_dagger.all == pytest.approx((4 / 6 + 3 / 4) / 2)


def test_images_whose_truth_lacks_the_class_do_not_count_and_void_is_not_judged() -> None:
    report = report_of((strip("ssaaaaaa"), strip("aaaaaaaa")), (strip("ssssaaaa"), strip("ss..aaaa")))
    assert report.pq_dagger.stuff == 1
    assert isnan(report_of((strip("aassssss"), strip("aaaaaaaa"))).pq_dagger.stuff)


def test_it_stands_in_tables_and_json() -> None:
    report = report_of((strip("aaaaaass"), strip("aaaassss")))
    assert "PQ†" in [str(column.header) for column in report.table().columns]
    assert report.to_json()["pq_dagger"]["stuff"] == 0.5


@settings(max_examples=50, deadline=None)
@given(small_pairs())
def test_things_have_their_pq_and_an_answer_that_is_right_has_one(pair: tuple[PanopticMap, PanopticMap]) -> None:
    report, right = report_of(pair), report_of((pair[1], pair[1]))
    assert report.pq_dagger.things == pytest.approx(report.quality.things.pq, nan_ok=True)
    assert isnan(right.pq_dagger.stuff) or right.pq_dagger.stuff == 1
