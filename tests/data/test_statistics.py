"""A set's statistics, counted by hand, and what they say of settings."""

from dataclasses import replace

import pytest
import torch

from unipan.classes import ClassInfo, ClassTable
from unipan.config import Config
from unipan.data.fitting import fitting_anchor_scale, fitting_ratios, fitting_sizes
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.statistics import ImageStatistics, SetStatistics, sampled_statistics, setting_remarks, statistics_of
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name == "cat", dataset_id=index, color=(0, 0, 0), supercategory=name)
        for index, name in enumerate(("cat", "sea"))
    )
)


def truth(cats: int, *, side: int = 20, size: int = 200) -> PanopticMap:
    """A sea with square cats in a row and, at its end, a crowd of cats."""
    ids = torch.full((size, size), 100, dtype=torch.int32)
    for number in range(cats):
        ids[:side, number * side : (number + 1) * side] = number + 1
    ids[-3:] = 99
    labels = [*(Label(number + 1, 0) for number in range(cats)), Label(99, 0, is_crowd=True), Label(100, 1)]
    return panoptic_map(ids, labels, CLASSES)


@pytest.fixture
def statistics() -> SetStatistics:
    return statistics_of([truth(3), truth(0), truth(7, side=10)])


def test_things_and_stuff_are_counted(statistics: SetStatistics) -> None:
    assert statistics.things_an_image.tolist() == [3, 0, 7]
    assert [statistics.things_beyond(limit) for limit in (0, 2, 5, 7)] == [10, 6, 2, 0]
    assert statistics.stuff_areas.tolist() == [197 * 200 - 3 * 400, 197 * 200, 197 * 200 - 7 * 100]
    assert statistics.thing_sides(short_side=0, long_side=0).tolist() == 3 * [20] + 7 * [10]
    assert statistics.thing_sides(short_side=100, long_side=0).tolist() == 3 * [10] + 7 * [5]


def test_no_images_have_no_statistics() -> None:
    nothing = statistics_of([])
    assert nothing.things_beyond(0) == 0
    assert setting_remarks(Config(), nothing) == []


def test_what_is_lost_is_said_with_its_option(statistics: SetStatistics) -> None:
    fits = Config()
    assert (
        setting_remarks(
            replace(fits, model=replace(fits.model, detector=replace(fits.model.detector, anchor_scale=2.0))), statistics
        )
        == []
    )
    tight = replace(
        fits,
        model=replace(fits.model, detector=replace(fits.model.detector, max_detections=5)),
        data=replace(fits.data, short_side=100),
        inference=replace(fits.inference, max_admitted=2, min_stuff_area_px=38_500),
    )
    detections, admitted, stuff, anchors = setting_remarks(tight, statistics)
    assert detections.startswith(
        "2 of 10 true things lie beyond model.detector.max_detections 5: 1 of 3 images have more, up to 7"
    )
    assert "--model.detector.max-detections 10" in detections
    assert admitted.startswith("6 of 10 true things lie beyond inference.max_admitted 2: 2 of 3 images")
    assert "removes 1 of 3 true stuff segments; set --inference.min-stuff-area-px 0" in stuff
    assert anchors.startswith("10 of 10 true things are less than half as wide as the smallest anchor (32 px)")
    assert "--model.detector.anchor-scale 1.2" in anchors


def test_a_detector_without_anchors_has_none_too_large(statistics: SetStatistics) -> None:
    one_stage = replace(Config().model, detector=replace(Config().model.detector, kind="one_stage"))
    assert setting_remarks(replace(Config(), model=one_stage), statistics) == []


def test_a_sample_is_evenly_spaced() -> None:
    read = []

    class Images(SceneDataset):
        def truth_of(self, index: int, /) -> PanopticMap:
            read.append(index)
            if index == 5:
                raise InputError("5.png is cut off.")
            return truth(1)

    sample = sampled_statistics(Images(difficulty="standard", size=(64, 64), seed=0, length=10), most=4)
    assert read == [0, 2, 5, 7]
    assert len(sample.images) == 3
    assert setting_remarks(Config(), sample)[-1] == (
        "the truth of 1 of the 4 images that were looked at could not be read and counts for nothing here: 5.png is cut off."
    )


@pytest.mark.parametrize(
    ("image_side", "thing_sides", "expected"),
    [
        (1024, [64.0] * 20, (256, 20, 50)),  # 16 px at a quarter of the size
        (512, [16.0] * 220, (512, 220, 330)),  # as they are: smaller would lose them
        (512, [10.0] * 3, (512, 3, 50)),  # never above 512
        (60, [15.0, 30.0], (64, 2, 50)),  # thumbnails stay near their own size
        (300, [], (256, 0, 50)),
    ],
)
def test_sizes_follow_from_things(image_side: int, thing_sides: list[float], expected: tuple[int, int, int]) -> None:
    image = ImageStatistics((image_side, image_side), tuple(thing_sides), (), (1.0,) * len(thing_sides))
    assert tuple(fitting_sizes(SetStatistics((image,)), smallest_anchor_px=16.0)) == expected


def of_ratios(ratios: list[float]) -> SetStatistics:
    return SetStatistics((ImageStatistics((100, 100), (10.0,) * len(ratios), (), tuple(ratios)),))


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.5, 1.0, 2.0] * 5, (0.5, 1.0, 2.0)),
        ([1.0] * 9, (0.71, 1.0, 1.41)),  # never nearer than a factor of 1.41
        ([3.0, 4.0, 4.0, 4.0, 4.0, 5.0], (2.83, 4.0, 5.66)),  # upright things
        ([0.01, 1.0, 100.0] * 5, (0.1, 1.0, 10.0)),  # threads do not decide
        ([], (0.5, 1.0, 2.0)),
    ],
)
def test_anchors_have_the_things_proportions(ratios: list[float], expected: tuple[float, float, float]) -> None:
    assert fitting_ratios(of_ratios(ratios)) == expected


def test_proportions_are_heights_over_widths() -> None:
    ids = torch.zeros(60, 60, dtype=torch.int32)
    ids[0:40, 0:10] = 1
    tall = panoptic_map(ids, [Label(1, 0)], CLASSES)
    assert statistics_of([tall]).thing_ratios.tolist() == [4.0]
    assert statistics_of([tall]).thing_sides(short_side=0, long_side=0).tolist() == [20.0]


@pytest.mark.parametrize(("side", "expected"), [(64.0, 4.0), (16.0, 4.0), (10.0, 2.5), (2.0, 1.0)])
def test_anchors_shrink_where_things_are_smaller(side: float, expected: float) -> None:
    image = ImageStatistics((512, 512), (side,) * 3, (), (1.0,) * 3)
    assert fitting_anchor_scale(SetStatistics((image,)), short_side=512, long_side=0) == expected
    assert fitting_anchor_scale(SetStatistics((image,)), short_side=256, long_side=0) == max(1.0, min(4.0, expected, side / 8))
