"""Polygons, run lengths and overlaps against plain loops and the reference's own decoder."""

from fractions import Fraction

import numpy as np
import pytest
from export_forms import plain_rle
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from unipan.errors import InputError
from unipan.tools.convert.rasterize import NOBODY, Patch, Shape, circle, paint, polygon_patch, rectangle, union
from unipan.tools.convert.rle import patch_from_counts

SIZE = (9, 12)
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))
# Eighths that are no odd multiple of a half: centres never lie on a corner's row or column.
coordinates = st.integers(-4, 16).flatmap(lambda whole: st.sampled_from([0.0, 0.125, 0.3, 0.77]).map(lambda part: whole + part))
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=7).map(np.array)


def whole(patch: Patch, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[patch.window] = patch.mask
    return mask


def crossings(points: np.ndarray, y: float) -> list[Fraction]:
    """Where the outline crosses a horizontal line, exactly."""
    corners = [(Fraction(float(x)), Fraction(float(y))) for x, y in points]
    edges = zip(corners, corners[1:] + corners[:1], strict=True)
    return [x1 + (Fraction(y) - y1) * (x2 - x1) / (y2 - y1) for (x1, y1), (x2, y2) in edges if (y1 <= y) != (y2 <= y)]


@given(st.lists(polygons, min_size=1, max_size=3))
def test_a_pixel_belongs_to_a_polygon_that_encloses_its_centre(parts: list[np.ndarray]) -> None:
    """Even-odd rule: the edges that a ray to the left crosses. Centres on an edge are left to the next tests."""
    drawn = whole(union([polygon_patch(part, SIZE) for part in parts]))
    for row, column in np.ndindex(SIZE):
        xs = [crossings(points, row + 0.5) for points in parts]
        if all(abs(x - column - 0.5) > 1e-9 for some in xs for x in some):
            assert drawn[row, column] == any(sum(x < column + 0.5 for x in some) % 2 for some in xs)


@given(st.integers(0, 12), st.integers(0, 12))
def test_polygons_that_share_an_edge_neither_overlap_nor_leave_a_gap(top: int, bottom: int) -> None:
    """Whole numbers too: where the edge runs through centres."""
    left = np.array([[0, 0], [top, 0], [bottom, 9], [0, 9]], dtype=float)
    right = np.array([[top, 0], [12, 0], [12, 9], [bottom, 9]], dtype=float)
    total = sum(whole(polygon_patch(points, SIZE)).astype(int) for points in (left, right))
    assert np.array_equal(total, np.ones(SIZE))


def test_rectangles_and_circles() -> None:
    drawn = whole(polygon_patch(rectangle((7, 6), (2, 1)), SIZE))
    assert np.array_equal(np.argwhere(drawn), [[y, x] for y in range(1, 6) for x in range(2, 7)])
    disc = whole(polygon_patch(circle((50, 40), (50, 70.5)), (90, 110)), (90, 110))
    y, x = np.mgrid[:90, :110] + 0.5
    assert np.array_equal(disc, np.hypot(x - 50, y - 40) < 30.5)


@given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.lists(st.integers(0, 50), max_size=12))
def test_runs_are_expanded_within_their_tight_part_alone(size: tuple[int, int], ends: list[int]) -> None:
    """Runs of any form: without a pixel, over several columns, none at all, the whole image."""
    pixels = size[0] * size[1]
    counts = np.diff(np.sort([min(end, pixels) for end in ends]), prepend=0, append=pixels).astype(int).tolist()
    mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size[::-1]).T
    patch = patch_from_counts(counts, size)
    assert np.array_equal(whole(patch, size), mask)
    assert patch.area == mask.sum()
    assert not patch.mask.size or (patch.mask[[0, -1]].any(1).all() and patch.mask[:, [0, -1]].any(0).all())


@given(masks)
def test_plain_runs(mask: np.ndarray) -> None:
    assert np.array_equal(whole(patch_from_counts(plain_rle(mask)["counts"], mask.shape), mask.shape), mask)


@given(arrays(np.bool_, st.tuples(st.integers(1, 90), st.integers(1, 90)), elements=st.booleans(), fill=st.booleans()))
def test_compressed_runs_of_the_reference(mask: np.ndarray) -> None:
    reference = pytest.importorskip("faster_coco_eval.core.mask", reason="needs faster-coco-eval to compare with")
    encoded = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = encoded["counts"].decode() if isinstance(encoded["counts"], bytes) else encoded["counts"]
    assert np.array_equal(whole(patch_from_counts(text, mask.shape), mask.shape), mask)


@pytest.mark.parametrize(
    ("counts", "message"),
    [([3, 3], "add up to 6 pixels"), ([5, -2, 9], "-2|add up"), ("3 ", "' '"), ("0", "add up to 0")],
)
def test_wrong_runs(counts: list[int] | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        patch_from_counts(counts, (3, 4))


def test_polygons_lie_within_a_pixel_of_the_references() -> None:
    reference = pytest.importorskip("faster_coco_eval.core.mask", reason="needs faster-coco-eval to compare with")
    rng = np.random.default_rng(0)
    for _ in range(30):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        points = 40 + rng.uniform(10, 30, (12, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        theirs = reference.decode(reference.merge(reference.frPyObjects([points.ravel().tolist()], 80, 80))).astype(bool)
        ours = whole(polygon_patch(points, (80, 80)), (80, 80))
        for y, x in np.argwhere(ours != theirs):
            assert distance_to_outline(points, x + 0.5, y + 0.5) < 1


def distance_to_outline(points: np.ndarray, x: float, y: float) -> float:
    """In pixels."""
    edges = np.roll(points, -1, axis=0) - points
    along = (((x, y) - points) * edges).sum(1) / (edges**2).sum(1)
    nearest = points + along.clip(0, 1)[:, None] * edges
    return float(np.hypot(*((x, y) - nearest).T).min())


patches = st.tuples(st.integers(0, 4), st.integers(0, 4), arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=5)))


@given(st.lists(st.tuples(st.integers(0, 3), patches), max_size=6))
def test_the_last_shape_is_on_top_and_contested_pixels_are_counted(drawn: list[tuple[int, tuple[int, int, np.ndarray]]]) -> None:
    shapes = [Shape(segment, Patch(*patch)) for segment, patch in drawn]
    claims = {}
    for shape in shapes:
        for y, x in np.argwhere(whole(shape.patch)):
            claims.setdefault((y, x), []).append(shape.segment)
    expected = np.full(SIZE, NOBODY)
    for pixel, segments in claims.items():
        expected[pixel] = segments[-1]
    painted = paint(shapes, SIZE)
    assert np.array_equal(painted.owner, expected)
    assert painted.contested_px == sum(len(set(segments)) > 1 for segments in claims.values())


@given(st.lists(st.tuples(coordinates | st.integers(0, 12), coordinates | st.integers(0, 12)), min_size=4, max_size=4))
def test_the_triangles_of_a_quadrilateral_make_it_up(corners: list[tuple[float, float]]) -> None:
    """However it folds: by the even-odd rule it has the pixels that are in one triangle only."""
    a, b, c, d = corners
    halves = [whole(polygon_patch(np.array(part, dtype=float), SIZE)) for part in ([a, b, c], [c, d, a])]
    assert np.array_equal(halves[0] ^ halves[1], whole(polygon_patch(np.array([a, b, c, d], dtype=float), SIZE)))
