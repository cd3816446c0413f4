"""Ids to colors, to PNG files and back: nothing is lost for any id that three bytes hold."""

import resource
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from raw_png import RGB, packed, write_png

from unipan.data.id_maps import MAX_ID, ids_from_rgb, read_id_map, rgb_from_ids, write_id_map
from unipan.errors import InputError

id_maps = arrays(
    np.int32,
    array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.one_of(st.integers(0, MAX_ID), st.sampled_from([0, 255, 256, 65_535, 65_536, MAX_ID])),
)


@given(id_maps)
def test_colors_are_the_digits_of_the_id_to_base_256(ids: np.ndarray) -> None:
    rgb = rgb_from_ids(ids)
    assert rgb.dtype == np.uint8
    red, green, blue = (rgb[..., channel].astype(int) for channel in range(3))
    assert np.array_equal(red + 256 * green + 256**2 * blue, ids)
    assert np.array_equal(ids_from_rgb(rgb), ids)


@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_every_color_is_the_id_that_gives_it(rgb: np.ndarray) -> None:
    assert np.array_equal(rgb_from_ids(ids_from_rgb(rgb)), rgb)


@given(id_maps)
def test_a_png_holds_every_id(tmp_path_factory, ids: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("ids") / "ids.png"
    write_id_map(path, torch.from_numpy(ids))
    assert np.array_equal(read_id_map(path).numpy(), ids)
    plain = np.asarray(Image.open(BytesIO(path.read_bytes()))).astype(np.int64) @ [1, 256, 65_536]
    assert np.array_equal(plain, ids)


def test_colors_of_16_bits_are_refused_since_half_of_each_would_be_lost(tmp_path: Path) -> None:
    path = write_png(tmp_path / "deep.png", width=2, depth=16, color=RGB, row=packed([1, 0, 0, 2, 0, 0], 16))
    with pytest.raises(InputError, match=r"deep\.png is a PNG file of mode RGB, 16 bits a channel; .* 8 bits a channel"):
        read_id_map(path)


@pytest.mark.parametrize("missing", [1, 12, 13, 5000])
def test_a_full_disk_leaves_the_map_that_stood_there(tmp_path: Path, missing: int) -> None:
    path, ids = tmp_path / "ids.png", torch.randint(MAX_ID, (60, 60), dtype=torch.int32)
    write_id_map(path, ids)
    before = path.read_bytes()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) - missing, usual[1]))
    try:
        with pytest.raises(InputError, match=r"cannot write .*ids\.png: .* untouched\. See that the disk has room"):
            write_id_map(path, ids)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
