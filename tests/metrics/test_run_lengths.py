"""COCO's texts of run lengths, against pycocotools' own."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipan.metrics.run_lengths import texts_of_masks, texts_of_segments

ONE_SIZE = np.array([[3, 4]])
SEEDS = st.integers(0, 2**32 - 1)


def by_coco(mask: np.ndarray) -> bytes:
    coco_mask: Any = pytest.importorskip("pycocotools.mask")
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


def lengths_of(text: bytes, height: int, width: int) -> list[int]:
    """By drawing it and counting."""
    coco_mask: Any = pytest.importorskip("pycocotools.mask")
    pixels = coco_mask.decode({"size": [height, width], "counts": text}).T.ravel()
    edges = np.flatnonzero(np.diff(pixels, prepend=0))
    return np.diff(np.concatenate([[0], edges, [pixels.size]])).tolist()


def test_a_drawn_mask() -> None:
    part = np.array([[[1, 0], [1, 1]]], dtype=bool)  # of 3 rows and 4 columns: rows 1 and 2, columns 1 and 2
    (text,) = texts_of_masks(part, np.array([[1, 1]]), ONE_SIZE)
    assert text == b"422O1"  # 4, 2, 2, then 1 - 2 and 3 - 2
    assert lengths_of(text, 3, 4) == [4, 2, 2, 1, 3]


def test_runs_go_on_from_the_bottom_of_a_column_to_the_top_of_the_next() -> None:
    assert texts_of_masks(np.ones((1, 3, 2), dtype=bool), np.array([[0, 1]]), ONE_SIZE) == [b"363"]
    assert texts_of_masks(np.ones((1, 3, 4), dtype=bool), np.array([[0, 0]]), ONE_SIZE) == [b"0<"]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0), (2, 2)])
def test_masks_without_pixels_are_background(shape: tuple[int, int]) -> None:
    assert texts_of_masks(np.zeros((2, *shape), dtype=bool), np.ones((2, 2), dtype=int), np.array([[3, 4]] * 2)) == [b"<", b"<"]


def test_no_mask_is_no_text() -> None:
    assert texts_of_masks(np.zeros((0, 2, 2), dtype=bool), np.zeros((0, 2), dtype=int), np.zeros((0, 2), dtype=int)) == []
    assert texts_of_segments([(np.zeros((3, 4), dtype=int), [])]) == [[]]
    assert texts_of_segments([]) == []


@given(SEEDS)
def test_random_parts_are_what_coco_makes_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, rng.choice([9, 300]), (int(rng.integers(1, 5)), 2))  # each mask's image has its own
    tall, wide = (int(rng.integers(0, side + 1)) for side in sizes.min(0))
    masks = rng.random((len(sizes), tall, wide)) < rng.choice([0.01, 0.3, 0.8, 1.0])
    corners = rng.integers(0, sizes - (tall, wide) + 1)
    for text, part, size, (top, left) in zip(texts_of_masks(masks, corners, sizes), masks, sizes, corners, strict=True):
        whole = np.zeros(size, dtype=bool)
        whole[top : top + tall, left : left + wide] = part
        assert text == by_coco(whole)


def random_map(rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """Ids and those that are wanted, up to five; one that occurs is of no segment, and one that is wanted may have no pixel."""
    height, width = (int(side) for side in rng.integers(1, rng.choice([9, 300]), 2))
    known = rng.choice(2**24, int(rng.integers(1, 7)), replace=False)
    ids = rng.choice(known, (height, width))
    ids[rng.random((height, width)) < rng.random()] = rng.choice(known)  # long runs
    return ids, known[:-1].tolist()


@given(SEEDS)
def test_segments_of_maps_are_what_coco_makes_of_their_masks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = [random_map(rng) for _ in range(int(rng.integers(1, 4)))]
    assert texts_of_segments(maps) == [[by_coco(ids == one) for one in known] for ids, known in maps]
