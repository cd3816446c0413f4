"""Segments from id maps, against plain loops over pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unipan.classes import ClassInfo, ClassTable
from unipan.errors import InputError
from unipan.ops.id_lookup import indices_of
from unipan.ops.segments import (
    Label,
    drop_small_stuff,
    index_of_ids,
    joined_stuff,
    measure,
    panoptic_map,
    true_positions,
)

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=is_thing, dataset_id=number, color=(0, 0, 0), supercategory=name)
        for number, (name, is_thing) in enumerate([("sky", False), ("cat", True), ("sea", False)])
    )
)
id_maps = arrays(np.int32, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.sampled_from([0, 3, 7, 2**24 - 1]))


def ids(*rows: str) -> torch.Tensor:
    """A drawn id map: "." is void, a digit its id."""
    return torch.tensor([[0 if cell == "." else int(cell) for cell in row] for row in rows], dtype=torch.int32)


@given(id_maps)
def test_index_of_ids_is_the_place_in_the_list(drawn: np.ndarray) -> None:
    known = [2**24 - 1, 3, 99]
    expected = [[known.index(value) if value in known else 3 for value in row] for row in drawn.tolist()]
    assert index_of_ids(torch.from_numpy(drawn), known).tolist() == expected


@given(id_maps)
def test_areas_and_boxes_equal_a_loop_over_pixels(drawn: np.ndarray) -> None:
    known = [7, 2**24 - 1, 3, 5]
    areas, boxes = measure(index_of_ids(torch.from_numpy(drawn), known), len(known))
    for position, value in enumerate(known):
        y, x = np.nonzero(drawn == value)
        assert areas[position] == len(y)
        assert boxes[position].tolist() == ([x.min(), y.min(), x.max() + 1, y.max() + 1] if len(y) else [0, 0, 0, 0])


def test_labels_without_pixels_are_dropped_and_pixels_without_labels_are_void() -> None:
    panoptic = panoptic_map(ids("112", "9.2"), [Label(1, 0), Label(2, 1, score=0.5), Label(3, 1)], CLASSES)
    assert panoptic.ids.tolist() == ids("112", "..2").tolist()
    assert [(s.id, s.name, s.category_id, s.is_thing, s.area, s.box, s.score) for s in panoptic.segments] == [
        (1, "sky", CLASSES[0].dataset_id, False, 2, (0, 0, 2, 1), 1.0),
        (2, "cat", CLASSES[1].dataset_id, True, 2, (2, 0, 3, 2), 0.5),
    ]


def test_an_image_without_pixels_has_no_segments() -> None:
    assert panoptic_map(torch.zeros(0, 4, dtype=torch.int32), [Label(1, 0)], CLASSES).segments == ()


def test_only_small_stuff_becomes_void() -> None:
    panoptic = panoptic_map(ids("1112", "3332"), [Label(1, 0), Label(2, 1), Label(3, 2)], CLASSES)
    trimmed = drop_small_stuff(panoptic, min_area_px=4)
    assert trimmed.ids.tolist() == ids("...2", "...2").tolist()
    assert [s.id for s in trimmed.segments] == [2]
    assert drop_small_stuff(panoptic, min_area_px=3) is panoptic


def test_stuff_of_one_class_is_joined_under_the_first_id_and_things_are_not() -> None:
    panoptic = panoptic_map(ids("1524", "1524"), [Label(1, 0), Label(5, 1), Label(2, 0), Label(4, 1, True)], CLASSES)
    joined = joined_stuff(panoptic, CLASSES)
    assert joined.ids.tolist() == ids("1514", "1514").tolist()
    assert [(s.id, s.area, s.box, s.is_crowd) for s in joined.segments] == [
        (1, 4, (0, 0, 3, 2), False),
        (5, 2, (1, 0, 2, 2), False),
        (4, 2, (3, 0, 4, 2), True),
    ]


@given(arrays(bool, st.integers(0, 70)))
def test_true_positions_are_numpy_s(flags: np.ndarray) -> None:
    assert true_positions(flags).tolist() == np.flatnonzero(flags).tolist()


@given(st.lists(st.integers(0, 2**31 - 1), unique=True, max_size=40), st.lists(st.integers(0, 2**31 - 1), max_size=40))
def test_indices_of_ids_are_those_in_the_list(known: list[int], others: list[int]) -> None:
    every = np.array([*known[::2], *others, *known], dtype=np.int32)
    expected = [known.index(id) if id in known else len(known) for id in every.tolist()]
    assert indices_of(every, known).tolist() == expected


def test_indices_of_more_ids_than_any_hash_can_part() -> None:
    known = np.random.default_rng(0).permutation(2**24)[:3000].tolist()
    strange = [id for id in range(1, 200) if id not in set(known)]
    assert indices_of(np.array(known + strange, dtype=np.int32), known).tolist() == [*range(3000), *[3000] * len(strange)]


@pytest.mark.parametrize("label", [Label(0, 1), Label(-3, 0), Label(2**31, 0), Label(1, -1), Label(1, 99)])
def test_a_label_of_void_or_of_no_class_is_refused(label: Label) -> None:
    with pytest.raises(InputError, match=rf"the id {label.id} and the class index {label.class_index}; give ids 1 to"):
        panoptic_map(torch.tensor([[0, 2]]), [label], CLASSES)
