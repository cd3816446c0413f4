"""The confusion drawing: its cells have the colors of their shares, and it stays readable with many classes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from unipan.classes import ClassTable
from unipan.viz.confusion import draw_confusion

pytest.importorskip("matplotlib")


def table(number: int) -> ClassTable:
    return ClassTable.from_categories([{"id": n, "name": f"class {n}", "isthing": n % 2} for n in range(1, number + 1)])


def blue(number: int, pixels: NDArray[np.int64]) -> int:
    """Pixels of the darkest blue, which shares near 1 have."""
    drawing = draw_confusion(pixels, table(number), void="(void)")
    assert drawing is not None
    red, green, _ = np.asarray(drawing, dtype=int).transpose(2, 0, 1)
    return int(((red < 30) & (green < 70) & (green > 30)).sum())


def test_a_perfect_answer_is_dark_on_its_diagonal_alone() -> None:
    right = np.eye(4, 5, dtype=np.int64) * 100
    half = np.append(np.full((4, 4), 25), np.zeros((4, 1), dtype=int), axis=1)
    assert blue(4, right) > 4 * 900  # four cells of some 50 x 50 pixels, less their numbers
    assert blue(4, half) < 900  # some edges of letters


def test_classes_that_never_occur_and_void_that_is_never_predicted_take_no_place() -> None:
    some = np.zeros((6, 7), dtype=np.int64)
    some[0, 0] = some[1, 1] = 5
    few, with_void = draw_confusion(some, table(6), void="(void)"), some.copy()
    with_void[1, 6] = 2
    more = draw_confusion(with_void, table(6), void="(void)")
    assert few is not None
    assert more is not None
    assert more.width > few.width
    assert abs(few.width - few.height) < 10
    assert draw_confusion(np.zeros((6, 7), dtype=np.int64), table(6), void="(void)") is None


def test_drawings_side_by_side_have_equal_cells() -> None:
    """One has a class and void that the other lacks."""
    one, other = np.zeros((4, 5), dtype=np.int64), np.zeros((4, 5), dtype=np.int64)
    one[0, 0] = one[1, 1] = one[1, 4] = 5
    other[0, 0] = other[2, 2] = 5
    drawn = [draw_confusion(own, table(4), void="(void)", beside=[one, other]) for own in (one, other)]
    assert drawn[0] is not None
    assert drawn[1] is not None
    assert drawn[0].size == drawn[1].size


def test_the_classes_of_coco_fit_a_drawing() -> None:
    drawing = draw_confusion(np.ones((133, 134), dtype=np.int64), table(133), void="(void)")
    assert drawing is not None
    assert 133 * 14 < drawing.height < drawing.width < 3000  # room for a line of text a class


@pytest.mark.filterwarnings("error")
def test_a_name_that_no_font_here_holds_is_no_warning() -> None:
    classes = ClassTable.from_categories([{"id": 1, "name": "snail \N{SNAIL}", "isthing": 1}])
    assert draw_confusion(np.array([[3, 0]]), classes, void="(void)") is not None
