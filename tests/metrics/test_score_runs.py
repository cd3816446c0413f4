"""Files are scored by runs of bytes, maps in memory by their ids: both find the same, whatever the damage."""

import random
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pq_oracle import damaged
from test_pq import CLASSES, small_pairs

from unipan.data.coco_writer import Entry, write_panoptic
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import match_maps
from unipan.recipes.score import score
from unipan.types import PanopticMap


def swapped(panoptic: PanopticMap, rng: random.Random) -> PanopticMap:
    """Two segments have exchanged their places."""
    if len(panoptic.segments) < 2:
        return panoptic
    one, other = rng.sample(panoptic.segments, 2)
    ids = panoptic.ids.clone()
    ids[panoptic.ids == one.id], ids[panoptic.ids == other.id] = other.id, one.id
    return replace(panoptic, ids=ids)


@settings(max_examples=40, deadline=None)
@given(st.lists(small_pairs(), min_size=1, max_size=3), st.integers(0, 999), st.booleans())
def test_files_score_as_their_maps_do(pairs: list[tuple[PanopticMap, PanopticMap]], seed: int, more: bool) -> None:
    rng, num_classes = random.Random(seed), len(CLASSES)
    if more:
        pairs = [(swapped(damaged(predicted, CLASSES, rng), rng), true) for predicted, true in pairs]
    total = sum((Score.of(match_maps(*pair), num_classes) for pair in pairs), Score.zero(num_classes))
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for side, maps in zip(("predictions", "truth"), zip(*pairs, strict=True), strict=True):
            entries = (Entry(position, f"{position}.png", panoptic) for position, panoptic in enumerate(maps))
            write_panoptic(Path(name), entries, CLASSES, json_name=f"{side}.json", png_folder=side, scores=False)
            paths.append(Path(name) / f"{side}.json")
        report = score(paths[1], paths[0])
    expected = total.report(report.title, CLASSES)
    assert str(report) == str(expected)  # as text, in which nan equals nan
