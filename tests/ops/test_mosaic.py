"""Answers drawn by hand, or cut out of a drawn map, are joined to what was drawn."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unipan.classes import ClassInfo, ClassTable
from unipan.errors import InputError
from unipan.ops.mosaic import Claims, Mosaic
from unipan.ops.segments import Label, panoptic_map
from unipan.ops.tiles import Tiling, Window, tiling_of, windows
from unipan.types import PanopticMap

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name in ("cat", "dog"), dataset_id=index + 1, color=(index, 0, 0), supercategory="")
        for index, name in enumerate(("grass", "cat", "sky", "dog"))
    )
)
CLASS_OF = {"g": 0, "s": 2, "a": 1, "b": 1, "c": 1, "d": 1, "x": 3, "y": 3}
"""Letters of a drawing: grass, sky, four cats and two dogs; a dot is void."""


def drawn(rows: Sequence[str], order: str = "".join(CLASS_OF)) -> PanopticMap:
    """A tile's answer as a network gives it: ids 1 and 2 for the stuff, 3, 4, ... for things in the order of their letters."""
    letters = np.array([list(row) for row in rows])
    things = [letter for letter in order if letter not in "gs" and letter in letters]
    names = {"g": 1, "s": 2} | {letter: number + 3 for number, letter in enumerate(things)}
    ids = np.vectorize(lambda letter: names.get(letter, 0))(letters).astype(np.int32)
    labels = [
        Label(number, CLASS_OF[letter], score=1 if letter in "gs" else 0.5 + number / 100) for letter, number in names.items()
    ]
    return panoptic_map(torch.from_numpy(ids), labels, CLASSES)


def joined(tiles: Sequence[Sequence[str]], size: tuple[int, int], tiling: Tiling, claims: Claims | None = None) -> PanopticMap:
    """The answer of tiles drawn in the order of `windows`."""
    mosaic = Mosaic(size, CLASSES)
    for window, rows in zip(windows(size, tiling), tiles, strict=True):
        mosaic.add(window, drawn(rows), claims)
    return mosaic.answer(min_stuff_area_px=0)


def shown(panoptic: PanopticMap) -> list[str]:
    """Its ids as digits, dots for void."""
    return ["".join(str(value) if value else "." for value in row) for row in panoptic.ids.tolist()]


def cut(rows: Sequence[str], window: Window) -> list[str]:
    return [row[window.columns.start : window.columns.end] for row in rows[window.rows.start : window.rows.end]]


def same_partition(one: NDArray, other: NDArray) -> bool:
    """Whether two id maps differ in the names of their ids alone."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@given(st.integers(1, 300), st.integers(2, 64), st.data())
def test_windows_cover_a_side_and_take_turns_in_the_middle_of_overlaps(length: int, side: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(1, side // 2))
    spans = [window.columns for window in windows((1, length), Tiling(side, overlap))]
    assert spans[0].start == spans[0].own == 0
    assert spans[-1].end == length
    assert {span.end - span.start for span in spans} == {min(side, length)}
    for before, after in pairwise(spans):
        assert before.end - after.start == after.shared >= overlap
        assert before.own < after.own < before.end, "each has pixels of its own"
    assert len(spans) == 1 + max(0, -(-(length - side) // (side - overlap)))


def test_a_tiling_without_an_overlap_that_can_join_is_refused() -> None:
    assert tiling_of(512) == tiling_of((512,)) == (512, 64)
    assert tiling_of((512, 256)) == (512, 256)
    for wrong in ((512, 0), (512, 257), (0, 1), 7, -8, (512, -1)):
        with pytest.raises(InputError, match="neighbours are joined where they overlap"):
            tiling_of(wrong)
    assert tiling_of((np.int64(512), np.int64(64))) == (512, 64)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="whole numbers of pixels"):
        tiling_of(512.0)  # type: ignore[arg-type]
    for wrong in ((), (512, 64, 3)):
        with pytest.raises(InputError, match="numbers came for tiles"):
            tiling_of(wrong)


TWO, FOUR = ((2, 10), Tiling(6, 2)), ((10, 10), Tiling(6, 2))
"""Sizes whose tiles are two side by side, or four; neighbours share two pixels."""


def test_a_thing_across_two_tiles_is_one_and_two_that_touch_at_the_seam_stay_two() -> None:
    assert shown(joined([["ggaaaa", "gggggg"], ["aaaagg", "gggggg"]], *TWO)) == ["1122222211", "1111111111"]
    assert shown(joined([["gggaab", "gggggg"], ["abbbgg", "gggggg"]], *TWO)) == ["1112233311", "1111111111"]
    assert shown(joined([["ggaaaa", "gggggg"], [".bbbgg", "gggggg"]], *TWO)) == ["1122233311", "1111111111"], "seen by one each"
    assert shown(joined([["ggaaaa", "gggggg"], ["xxxxgg", "gggggg"]], *TWO)) == ["1122233311", "1111111111"], "cat and dog"


def test_ids_are_dense_stuff_is_one_of_a_class_and_scores_are_of_the_best_part() -> None:
    answer = joined([["..abbb", "ssssss"], ["bbbxgg", "sssssg"]], *TWO)
    assert shown(answer) == ["..34444511", "2222222221"]
    assert [segment.id for segment in answer] == [1, 2, 3, 4, 5]
    assert [segment.name for segment in answer] == ["grass", "sky", "cat", "cat", "dog"]
    assert [segment.score for segment in answer] == [1, 1, 0.53, 0.54, 0.54], (
        "the fourth was 4 in the first tile, 3 in the second"
    )


@pytest.mark.parametrize("blind", [None, 0, 1, 2, 3])
def test_a_thing_across_four_tiles_is_one_though_one_of_them_may_not_see_it(blind: int | None) -> None:
    rows = ["gggggggggg", "gaaaaaaaag", *["gaaaaaaaag"] * 6, "gaaaaaaaag", "gggggggggg"]
    tiles = [cut(rows, window) for window in windows(*FOUR)]
    if blind is not None:
        tiles[blind] = [row.replace("a", ".") for row in tiles[blind]]
    answer = joined(tiles, *FOUR)
    assert [segment.name for segment in answer] == ["grass", "cat"]
    assert answer.segments[1].area == 64 - (16 if blind is not None else 0)


def test_small_stuff_goes_by_its_area_in_the_whole() -> None:
    mosaic = Mosaic(TWO[0], CLASSES)
    for window, rows in zip(windows(*TWO), (["ssssgg", "gggggg"], ["gggsss", "gggggg"]), strict=True):
        mosaic.add(window, drawn(rows))
    assert [(one.name, one.area) for one in mosaic.answer(min_stuff_area_px=7)] == [("grass", 13), ("sky", 7)]
    assert [(one.id, one.name, one.area) for one in mosaic.answer(min_stuff_area_px=8)] == [(1, "grass", 13)]


def test_what_one_tile_told_apart_stays_apart() -> None:
    """The right tile takes two cats for one; it is that of which more pixels are the same."""
    left, right = ["gggaaa", "gggaaa", "gggbbb"], ["cccggg", "cccggg", "cccggg"]
    sure: Claims = lambda regions, count: np.ones((count, 3))  # noqa: E731 (everything is of everything)
    for claims in (None, sure):
        answer = joined([left, right], (3, 10), TWO[1], claims)
        assert shown(answer) == ["1112222111", "1112222111", "1113322111"]


def claiming(share: float, asked: list[list[str]]) -> Claims:
    """An affinity that gives each region this share of being the tile's first thing, and keeps what it was asked."""

    def claims(regions: NDArray, count: int) -> NDArray:
        asked.append(["".join("." if value == count else str(value) for value in row) for row in regions.tolist()])
        return np.full((count, 3), (0.0, 0.0, share))

    return claims


@pytest.mark.parametrize(("share", "bottom"), [(0.6, "1122222221"), (0.5, "1122233331")])
def test_the_affinity_decides_where_two_things_share_few_pixels(share: float, bottom: str) -> None:
    asked: list[list[str]] = []
    right = ["gggggg", "gbbbbg"]
    joined([["gggggg", "ggaaa."], right], *TWO, claiming(share, asked))
    assert asked == [], "no pixel of the overlap is of both"
    answer = joined([["ggggga", "ggaaaa"], right], *TWO, claiming(share, asked))
    assert asked == [[".0....", "00...."]]
    assert shown(answer) == ["1111111111", bottom]


def test_things_that_are_surely_one_are_not_asked_about() -> None:
    asked: list[list[str]] = []
    joined([["ggaaaa", "ggaaaa"], ["abggg.", "aaggg."]], *TWO, claiming(0.0, asked))
    assert asked == [], "a is matched with a; b would join what is of its own tile"


def blobs(seed: int, size: tuple[int, int]) -> NDArray:
    """Ids of connected blobs of any shape, 2, 3, ..., in stuff, 1."""
    random = np.random.default_rng(seed)
    noise = random.random(size)
    for _ in range(2):
        noise = np.sum([np.roll(noise, shift, axis) for axis in (0, 1) for shift in (-1, 0, 1)], axis=0)
    labels = np.ones(size, dtype=np.int64)
    number = 1
    for start in zip(*np.nonzero(noise > np.median(noise)), strict=True):
        if labels[start] > 1:
            continue
        number, left = number + 1, [start]
        while left:
            y, x = left.pop()
            if 0 <= y < size[0] and 0 <= x < size[1] and noise[y, x] > np.median(noise) and labels[y, x] == 1:
                labels[y, x] = number
                left += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return labels


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(5, 30), st.integers(5, 30), st.integers(4, 12), st.data())
def test_tiles_cut_out_of_a_map_are_joined_to_it(seed: int, height: int, width: int, side: int, data: st.DataObject) -> None:
    tiling = Tiling(side, data.draw(st.integers(1, side // 2)))
    truth = blobs(seed, (height, width))
    mosaic, random = Mosaic(truth.shape, CLASSES), np.random.default_rng(seed)
    for window in windows(truth.shape, tiling):
        part = window.of(torch.from_numpy(truth)[None])[0]
        names = random.permutation(truth.max() + 1).astype(np.int32) + 1  # a tile numbers its things as it likes
        mosaic.add(window, panoptic_map(torch.from_numpy(names)[part], labels_of(names, truth.max()), CLASSES))
    answer = mosaic.answer(min_stuff_area_px=0)
    assert same_partition(answer.ids.numpy(), truth)
    assert [segment.id for segment in answer] == list(range(1, len(answer) + 1))


def labels_of(names: NDArray, last: int) -> list[Label]:
    return [Label(int(names[index]), 0 if index == 1 else 1) for index in range(1, last + 1)]


def test_effort_grows_with_things_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    effort, root = {}, Mosaic._root
    calls: list[int] = []
    monkeypatch.setattr(Mosaic, "_root", lambda self, part: calls.append(part) or root(self, part))
    for count in (16, 32):  # a side: 256 and 1,024 things, the more in an image four times as large, in tiles of one size
        truth = torch.arange(2, 2 + count**2).view(count, count).repeat_interleave(8, 0).repeat_interleave(8, 1).int()
        labels = labels_of(np.arange(count**2 + 2), count**2 + 1)
        mosaic = Mosaic((8 * count, 8 * count), CLASSES)
        calls.clear()
        for window in windows((8 * count, 8 * count), Tiling(36, 12)):
            mosaic.add(window, panoptic_map(window.of(truth[None])[0], labels, CLASSES))
        assert len(mosaic.answer(min_stuff_area_px=0)) == count**2
        effort[count] = len(calls)
    assert effort[32] < 6 * effort[16], "sixteen times, if each were compared with all"
