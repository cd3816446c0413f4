"""Run lengths against COCO's own, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipan.metrics.run_lengths import run_lengths


def test_a_drawn_mask() -> None:
    part = np.array([[1, 0], [1, 1]], dtype=bool)  # of 3 rows and 4 columns: rows 1 and 2, columns 1 and 2
    assert run_lengths(part, (1, 1), (3, 4)).tolist() == [4, 2, 2, 1, 3]


def test_runs_go_on_from_the_bottom_of_a_column_to_the_top_of_the_next() -> None:
    assert run_lengths(np.ones((3, 2), dtype=bool), (0, 1), (3, 4)).tolist() == [3, 6, 3]
    assert run_lengths(np.ones((3, 4), dtype=bool), (0, 0), (3, 4)).tolist() == [0, 12]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0), (2, 2)])
def test_a_mask_without_pixels_is_background(shape: tuple[int, int]) -> None:
    assert run_lengths(np.zeros(shape, dtype=bool), (1, 1), (3, 4)).tolist() == [12]


@given(st.integers(0, 2**32 - 1))
def test_random_parts_are_what_coco_makes_of_the_whole(seed: int) -> None:
    coco_mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(1, 9, 2))
    (top, bottom), (left, right) = (sorted(int(edge) for edge in rng.integers(0, side + 1, 2)) for side in (height, width))
    part = rng.random((bottom - top, right - left)) < rng.choice([0.3, 0.8, 1.0])
    whole = np.zeros((height, width), dtype=np.uint8)
    whole[top:bottom, left:right] = part
    ours = {"size": [height, width], "counts": run_lengths(part, (top, left), (height, width)).tolist()}
    assert coco_mask.frPyObjects(ours, height, width) == coco_mask.encode(np.asfortranarray(whole))
