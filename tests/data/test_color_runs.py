"""Runs found on colors, against a loop over pixels, and decoding against Pillow's."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from unipan.data.id_maps import ids_at, ids_from_rgb, read_colors, shared_runs

pairs = st.tuples(st.integers(1, 7), st.integers(1, 9)).flatmap(
    lambda size: st.tuples(*[arrays(np.uint8, (*size, 3), elements=st.sampled_from([0, 1, 255]))] * 2)
)


@given(pairs)
def test_runs_equal_a_loop_over_pixels(pair: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = pair
    both = list(zip(ids_from_rgb(one).ravel().tolist(), ids_from_rgb(other).ravel().tolist(), strict=True))
    expected = [(ids, len(list(run))) for ids, run in groupby(both)]
    starts, lengths = shared_runs(one, other)
    found = zip(ids_at(one, starts).tolist(), ids_at(other, starts).tolist(), strict=True)
    assert list(zip(found, lengths.tolist(), strict=True)) == expected


@pytest.mark.parametrize("form", ["RGB", "P"])
def test_both_decoders_give_pillow_s_colors(tmp_path: Path, form: str) -> None:
    drawn = Image.fromarray(np.random.default_rng(0).integers(0, 5, (13, 17, 3), np.uint8) * 50)
    image = drawn if form == "RGB" else drawn.quantize(8)
    image.save(tmp_path / "map.png")
    assert np.array_equal(read_colors(tmp_path / "map.png"), np.asarray(image.convert("RGB")))
