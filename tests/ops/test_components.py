"""Connected parts, against flood filling."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unipan.ops.components import part_areas
from unipan.ops.segments import runs_of

id_maps = arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))


def areas_of(ids: np.ndarray, *, corners: bool = True) -> dict[int, list[int]]:
    found = part_areas(runs_of(torch.from_numpy(ids.astype(np.int32))), ids.shape[1], corners=corners)
    return {id: sorted(areas) for id, areas in found.items()}


def flooded(ids: np.ndarray, *, corners: bool) -> dict[int, list[int]]:
    """By flood filling, pixel by pixel."""
    seen, parts = np.zeros(ids.shape, bool), dict[int, list[int]]()
    for start in np.ndindex(ids.shape):
        if seen[start]:
            continue
        stack, area = [start], 0
        seen[start] = True
        while stack:
            y, x = stack.pop()
            area += 1
            for next_y in range(max(0, y - 1), min(ids.shape[0], y + 2)):
                for next_x in range(max(0, x - 1), min(ids.shape[1], x + 2)):
                    near = corners or y == next_y or x == next_x
                    if near and not seen[next_y, next_x] and ids[next_y, next_x] == ids[start]:
                        seen[next_y, next_x] = True
                        stack.append((next_y, next_x))
        parts.setdefault(int(ids[start]), []).append(area)
    return {id: sorted(areas) for id, areas in parts.items()}


@given(id_maps, st.booleans())
def test_parts_equal_flood_filling(ids: np.ndarray, corners: bool) -> None:
    assert areas_of(ids, corners=corners) == flooded(ids, corners=corners)


def test_parts_of_a_spiral_and_a_comb() -> None:
    """Shapes whose rows are joined late, from below and from far."""
    spiral = np.array([list(row) for row in ("xxxxxxx", "......x", "xxxxx.x", "x...x.x", "x.xxx.x", "x.....x", "xxxxxxx")]) == "x"
    assert len(areas_of(spiral)[1]) == 1
    comb = np.zeros((6, 101), np.int32)
    comb[:, ::2] = 1
    assert areas_of(comb)[1] == 51 * [6]
    comb[-1] = 1
    assert len(areas_of(comb)[1]) == 1


def test_a_part_does_not_go_round_the_edge() -> None:
    assert areas_of(np.array([[0, 0, 5], [0, 0, 0], [5, 0, 0]])) == {0: [7], 5: [1, 1]}
    assert areas_of(np.array([[0, 5], [5, 0]])) == {0: [2], 5: [2]}
    assert areas_of(np.array([[0, 5], [5, 0]]), corners=False) == {0: [1, 1], 5: [1, 1]}
    assert areas_of(np.array([[0, 0, 5], [5, 0, 0]])) == {0: [4], 5: [1, 1]}


def test_no_pixels_have_no_parts() -> None:
    assert areas_of(np.zeros((0, 4))) == {}
