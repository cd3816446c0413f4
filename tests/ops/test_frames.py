"""Files of several images, of which the first is read."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unipan.ops import image_range
from unipan.ops.frames import further_frames
from unipan.ops.image_range import read_and_warn
from unipan.ops.images import read_image

FRAMES = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (40, 120, 200)]


def _saved(path: Path, **options: Any) -> Path:
    first, *others = [frame.copy() for frame in FRAMES]  # Pillow's images remember how they were saved last
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".webp", ".png"])
def test_pages_and_frames_are_counted(tmp_path: Path, suffix: str) -> None:
    path = _saved(tmp_path / f"a{suffix}")
    assert further_frames(path) == further_frames(str(path)) == further_frames(path.read_bytes()) == 2
    FRAMES[0].save(path)
    assert further_frames(path) == 0


def test_previews_smaller_copies_and_masks_are_no_frames(tmp_path: Path) -> None:
    assert further_frames(_saved(tmp_path / "a.mpo")) == 0
    for kind, expected in ((0, 2), (1, 0), (2, 2), (4, 0)):  # a page, a smaller copy, a page of several, a mask
        assert further_frames(_saved(tmp_path / "a.tif", tiffinfo={254: kind})) == expected, kind


def test_a_damaged_end_is_no_fault(tmp_path: Path) -> None:
    """The first frame may be whole all the same."""
    for suffix in (".gif", ".png", ".webp", ".tif"):
        whole = _saved(tmp_path / f"a{suffix}").read_bytes()
        assert all(further_frames(whole[:length]) <= 2 for length in range(len(whole)))


def test_what_cannot_be_told_is_no_fault(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:300])
    assert further_frames(path) == 0
    assert further_frames(FRAMES[0]) == further_frames(BytesIO(b"")) == further_frames(tmp_path / "none.tif") == 0


def test_further_frames_are_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(image_range, "_NOTED", {})
    path = _saved(tmp_path / "a.tif")
    for _ in range(2):
        assert read_and_warn(path).equal(read_image(FRAMES[0]))
    (record,) = caplog.records
    assert record.message == f"the image {path} has 3 pages or frames; the first is read. Save each by itself."
