"""Maps laid over the truth, and counted once for all, are judged as each by itself."""

import numpy as np
import torch
from class_maps import class_map, confuse
from hypothesis import given, settings
from hypothesis import strategies as st

from unipan.classes import VOID, ClassTable
from unipan.metrics.aligned_maps import AlignedMaps
from unipan.metrics.confusion import Confusion
from unipan.metrics.counts_json import counts_to_json
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import match_maps
from unipan.ops.segments import Label, drop_small_stuff, panoptic_map
from unipan.types import PanopticMap

CLASSES = ClassTable.from_categories(
    [{"id": position, "name": name, "isthing": name != "sky"} for position, name in enumerate(("cat", "dog", "sky"), 1)]
)
SHAPE = (5, 8)


@st.composite
def maps(draw: st.DrawFn, *, crowds: bool) -> PanopticMap:
    known = draw(st.lists(st.integers(1, 2**24 - 1), min_size=1, max_size=4, unique=True))
    positions = draw(st.lists(st.integers(0, len(known)), min_size=20, max_size=20))
    ids = torch.tensor([0, *known], dtype=torch.int32)[torch.tensor(positions)].view(5, 4).repeat_interleave(2, 1).contiguous()
    crowd = st.booleans() if crowds else st.just(False)
    return panoptic_map(ids, [Label(number, draw(st.integers(0, 2)), draw(crowd)) for number in known], CLASSES)


@settings(max_examples=150, deadline=None)
@given(maps(crowds=True), maps(crowds=False), maps(crowds=False), st.integers(0, 12), st.data())
def test_each_map_is_judged_as_by_itself(
    truth: PanopticMap, answer: PanopticMap, other: PanopticMap, limit: int, data: st.DataObject
) -> None:
    semantic = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=40, max_size=40))).view(
        SHAPE
    )  # 3: none could be chosen
    maps = AlignedMaps(truth, semantic, answer.ids, other.ids)
    classes = semantic.where(semantic < 3, VOID)
    assert np.array_equal(maps.semantic_confusion(3).pixels, confuse(classes, class_map(truth), 3).pixels)
    for ids, judged in zip(maps.values, (answer, other), strict=True):
        trimmed = drop_small_stuff(judged, min_area_px=limit)
        found, expected = (
            maps.match(ids, judged.segments, CLASSES, min_stuff_area_px=limit),
            match_maps(trimmed, truth),
        )
        assert all(np.array_equal(one, two) for one, two in zip(found.shared, expected.shared, strict=True))
        assert all(np.array_equal(one, two) for one, two in zip(found[1:], expected[1:], strict=True))
        assert np.array_equal(Confusion.of(found, 3).pixels, confuse(class_map(trimmed), class_map(truth), 3).pixels)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(maps(crowds=True), maps(crowds=False)), min_size=1, max_size=4))
def test_images_side_by_side_count_as_one_by_one(pairs: list[tuple[PanopticMap, PanopticMap]]) -> None:
    found = [match_maps(answer, truth) for truth, answer in pairs]
    one_by_one = sum((Score.of(one, 3) for one in found), Score.zero(3))
    assert counts_to_json(Score.of_images(found, 3)) == counts_to_json(one_by_one)
