import numpy as np
import pytest
from numpy.typing import NDArray

from unipan.classes import ClassInfo, ClassTable
from unipan.metrics.bootstrap import difference_interval, draw_images, drawn_pq
from unipan.metrics.pq import PQCounts, quality
from unipan.metrics.units import UNITS

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name < "c", dataset_id=position, color=(0, 0, 0), supercategory=name)
        for position, name in enumerate("abcd")
    )
)


def random_image(random: np.random.Generator, *, matched: int = 4) -> PQCounts:
    """Class d never occurs."""
    counts = [random.integers(0, most, 4) * [1, 1, 1, 0] for most in (matched, 3, 3)]
    return PQCounts(in_units(counts[0] * random.uniform(0.5, 1, 4)), *counts)


def in_units(ious: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(ious * UNITS).astype(np.int64)


def random_images(number: int, seed: int, *, matched: int = 4) -> list[PQCounts]:
    random = np.random.default_rng(seed)
    return [random_image(random, matched=matched) for _ in range(number)]


@pytest.mark.parametrize(("chosen", "group"), [((0, 1, 2, 3), "all"), ((0, 1), "things"), ((2, 3), "stuff")])
def test_a_draw_s_pq_is_that_of_its_images(chosen: tuple[int, ...], group: str) -> None:
    images, drawn = random_images(7, 1), draw_images(7, draws=5)
    assert drawn.sum(1).tolist() == [7] * 5
    for row, value in zip(drawn.tolist(), drawn_pq(images, drawn, chosen), strict=True):
        taken = [image for image, times in zip(images, row, strict=True) for _ in range(times)]
        expected = getattr(quality(sum(taken, PQCounts.zero(4)), CLASSES), group).pq
        assert value == pytest.approx(expected)


def test_nothing_to_judge_is_nan() -> None:
    assert np.isnan(drawn_pq([PQCounts.zero(4)] * 2, draw_images(2, draws=3), (0,))).all()


def test_a_method_is_level_with_itself() -> None:
    runs = [random_images(6, seed) for seed in (1, 2)]
    assert difference_interval(runs, runs, (0, 1, 2), draw_images(6)) == (0.0, 0.0)


def test_what_is_better_on_every_image_is_better_for_sure() -> None:
    worse = random_images(20, 3)
    better = [
        PQCounts(in_units(image.iou_sum + image.missed * 0.9), image.matched + image.missed, image.extra, image.missed * 0)
        for image in worse
    ]
    low, high = difference_interval([better], [worse], (0, 1, 2), draw_images(20))
    assert 0 < low < high


def test_pairs_are_surer_than_strangers() -> None:
    """Images differ far more than methods do: the same draws for both take that out."""
    hard, easy = random_images(10, 4, matched=1), random_images(10, 5, matched=9)
    one = [*hard, *easy]
    other = [PQCounts(in_units(image.iou_sum * 0.98), image.matched, image.extra, image.missed) for image in one]
    low, high = difference_interval([one], [other], (0, 1, 2), draw_images(20))
    alone = np.percentile(drawn_pq(one, draw_images(20), (0, 1, 2)), [2.5, 97.5])
    assert 0 < low < high < 0.02
    assert high - low < (alone[1] - alone[0]) / 5
