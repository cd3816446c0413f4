"""One reader: a file, its bytes, and what PIL, numpy and torch make of it are the same pixels; what can't be read is refused."""

import os
import sys
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unipan.errors import InputError
from unipan.ops import images
from unipan.ops.images import open_image, read_image

NOISE = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)


def save(image: Image.Image, path: Path, orientation: int = 1, **options: Any) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, **options)
    return path


def palette_with_a_clear_color(path: Path) -> Path:
    image = Image.fromarray(NOISE[..., :3]).quantize(8)
    image.save(path, transparency=3)
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    **{f"EXIF {n}": lambda f, n=n: save(Image.fromarray(NOISE[..., :3]), f / "a.jpg", n) for n in range(1, 9)},
    "RGBA": lambda f: save(Image.fromarray(NOISE), f / "a.png"),
    "RGBA, turned": lambda f: save(Image.fromarray(NOISE), f / "a.tiff", 6),
    "LA": lambda f: save(Image.fromarray(NOISE).convert("LA"), f / "a.png"),
    "palette": lambda f: save(Image.fromarray(NOISE[..., :3]).quantize(8), f / "a.png"),
    "palette, a clear color": lambda f: palette_with_a_clear_color(f / "a.png"),
    "CMYK": lambda f: save(Image.fromarray(NOISE[..., :3]).convert("CMYK"), f / "a.jpg"),
    "16 bits": lambda f: save(Image.fromarray(NOISE.view(np.uint16)[..., 0]), f / "a.png"),
    "16 bits, turned": lambda f: save(Image.fromarray(NOISE.view(np.uint16)[..., 0]), f / "a.tiff", 8),
    "16 bits, big-endian": lambda f: save(Image.fromarray(NOISE.view(np.uint16)[..., 0].astype(">u2")), f / "a.tiff"),
    "32 bits": lambda f: save(Image.fromarray(NOISE.view(np.uint16)[..., 0].astype(np.int32)), f / "a.tiff"),
    "1 bit": lambda f: save(Image.fromarray(NOISE[..., 0]).convert("1"), f / "a.png"),
    "animation": lambda f: save(
        Image.fromarray(NOISE[..., :3]), f / "a.gif", save_all=True, append_images=[Image.new("RGB", (8, 6))]
    ),
}
SOURCES: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "bytes": Path.read_bytes,
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "stream": lambda path: BytesIO(path.read_bytes()),
    "PIL": Image.open,
    "numpy": lambda path: read_image(path).permute(1, 2, 0).numpy(),
    "numpy, floats": lambda path: read_image(path).permute(1, 2, 0).numpy() / 255,
    "torch": read_image,
    "torch, floats": lambda path: read_image(path) / 255,
}


@pytest.mark.parametrize("file", FILES)
def test_every_source_of_a_file_is_its_pixels(file: str, tmp_path: Path) -> None:
    path = FILES[file](tmp_path)
    expected = read_image(path)
    for name, source_of in SOURCES.items():
        source = source_of(path)
        assert torch.equal(read_image(source), expected), name
        assert torch.equal(read_image(source), expected), f"{name}, a second time"


def test_a_tensor_that_is_a_view_of_its_negative() -> None:
    z = torch.complex(torch.zeros(3, 4, 5), -torch.rand(3, 4, 5))
    assert torch.equal(read_image(torch.conj(z).imag), read_image(-z.imag))


def test_gray_and_alpha_of_arrays() -> None:
    gray = NOISE[..., 0]
    expected = torch.from_numpy(gray).expand(3, 6, 8)
    for source in (gray, gray[..., None], torch.from_numpy(gray), torch.from_numpy(gray)[None], gray / 255):
        assert torch.equal(read_image(source), expected)
    assert torch.equal(read_image(NOISE), read_image(Image.fromarray(NOISE)))
    assert torch.equal(read_image(NOISE[:, ::-1]), read_image(NOISE).flip(2))


def test_what_was_read_stays_when_its_source_is_filled_anew() -> None:
    """A camera's buffer bears one image after another."""
    floats = torch.from_numpy(NOISE[..., :3] / 255).permute(2, 0, 1)
    for source in (
        torch.from_numpy(NOISE[..., :3].transpose(2, 0, 1).copy()),
        NOISE[..., :3].copy(),
        NOISE[..., 0].copy(),
        floats,
    ):
        read = read_image(source)
        before = read.clone()
        source[:] = 0
        assert torch.equal(read, before)
        assert read.is_contiguous()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([Path("a.jpg")], "came as a list; give a file's path"),
        ((name for name in ("a.jpg",)), "came as a generator; give a file's path"),
        (None, "came as a NoneType"),
        ("https://somewhere.org/a.jpg", "came as the address .*fetch it, and give a file's path"),
        (b"no image", "cannot read the image of 8 bytes"),
        (StringIO("text"), "cannot read the image in an open file"),
        (np.zeros((3, 4, 5), np.uint8), r"numbers of shape \(3, 4, 5\) and type uint8; give"),
        (torch.zeros(6, 5, 3, dtype=torch.uint8), r"shape \(5, 3, 6\)"),
        (np.zeros((4, 5), np.int64), "type int64"),
        (np.zeros((0, 5), np.uint8), r"shape \(0, 5\)"),
        (np.full((4, 5, 3), 200.0), "floats of 200 to 200; give floats in 0..1"),
        (torch.full((3, 4, 5), torch.nan), "floats of nan"),
        (Image.new("F", (3, 3)), "mode F: its pixels are floating-point"),
        (Image.new("RGB", (0, 5)), "it is 0 x 5 pixels"),
        (torch.zeros(3, 0, 0, dtype=torch.uint8), r"shape \(0, 0, 3\)"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8, device="meta"), r"tensor without .* \(strided, uint8, on meta\); give"),
        (torch.zeros(3, 4, 5).to_sparse(), r"\(sparse_coo, float32, on cpu\); give"),
        (torch.zeros(3, 4, 5, dtype=torch.complex64).conj(), r"\(strided, complex64, on cpu\); give"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_image(source)


def test_a_folder_and_a_file_opened_for_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which is a folder; name a file in it"):
        read_image(tmp_path)
    path = FILES["RGBA"](tmp_path)
    with path.open() as file, pytest.raises(InputError, match=r'a\.png, opened for text; open it with "rb"'):
        read_image(file)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, of a form that it will drop
def test_a_quantised_tensor_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(strided, quint8, on cpu\); give"):
        read_image(torch.quantize_per_tensor(torch.zeros(3, 4, 5), 1 / 255, 0, torch.quint8))


def test_a_float_file_is_refused_however_it_comes(tmp_path: Path) -> None:
    path = save(Image.new("F", (3, 3)), tmp_path / "float.tiff")
    for source in (path, path.read_bytes(), Image.open(path)):
        with pytest.raises(InputError, match="floating-point"):
            read_image(source)


def test_a_large_image_is_read_up_to_a_stated_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: Any) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow refuses above 40
    path = save(Image.fromarray(NOISE[..., :3]), tmp_path / "large.png")
    assert read_image(path).shape == (3, 6, 8)
    assert not recwarn.list
    assert Image.MAX_IMAGE_PIXELS == 20, "another program's limit is left alone"
    monkeypatch.setattr(images, "MAX_PIXELS", 47)
    with pytest.raises(InputError, match=r"large\.png: it has 8 x 6 pixels, and at most 47 are read"):
        read_image(path)
    with pytest.raises(Image.DecompressionBombError):
        open_image(path)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
def test_what_bears_a_name_and_is_no_file_is_named_as_that(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("gone.png")
    for name, fault in (("pipe", "is a pipe or a device, not a file"), ("link", r"is a link to gone\.png, which is not there")):
        with pytest.raises(InputError, match=rf"{name}\.png {fault}"):
            read_image(tmp_path / f"{name}.png")
