"""The images that a folder or a pattern of paths stands for."""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

from PIL import Image

from unipan.data.image_paths import FoundFiles, find_files, is_hidden, sorted_out, walk
from unipan.data.nearby import image_suffixes
from unipan.errors import InputError
from unipan.ops.images import is_file

ONE = (bytes, bytearray, memoryview, Mapping, Image.Image)
"""What could be gone through, and is one image or none; so are open files, arrays and tensors."""
STACK_DIMENSIONS = 4
"""Of an array or a tensor of several images."""
NO_IMAGE = "{} holds no image; name a folder or a pattern that does."


def find_images(path: str | Path) -> FoundFiles | None:
    """The images in a folder, or those that a pattern fits and those in folders that it fits; None: it is one file, or nothing.

    path: a pattern where it has *, ? or [ and no file bears it as its name.
    Raises: InputError for a pattern that nothing fits.
    """
    if os.path.isdir(path):  # noqa: PTH112 (no error for a name that no file can bear)
        return find_files(Path(path))
    if not glob.has_magic(str(path)) or is_file(path):
        return None
    hits = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207
    if not hits:
        raise InputError(f"there is no file {path}, nor one that it would fit as a pattern; check the path.")
    files = (walk(hit) if hit.is_dir() and not is_hidden(hit.name) else [hit] for hit in hits)
    return sorted_out({*chain.from_iterable(files)}, image_suffixes())  # a set: what is fit may also lie below what is fit


def base_of(path: Path) -> Path:
    """The folder that all lies below which a path stands for: itself, or of a pattern what comes before its first *, ? or [."""
    return path if path.is_dir() else Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))


def images_in(source: Any) -> Iterator[Any] | None:
    """The images that something stands for: those that `find_images` finds, or those of what is gone through.

    source: a path, a pattern, or an iterable. None: it is one image, or nothing known.
    Raises: InputError for a folder and a pattern without images.
    """
    if isinstance(source, (str, os.PathLike)):
        found = find_images(os.fspath(source))
        if found is not None and not found.paths:
            raise InputError(NO_IMAGE.format(source))
        return None if found is None else iter(found.paths)
    is_one = isinstance(source, ONE) or hasattr(source, "read") or (hasattr(source, "dtype") and not _holds_names(source))
    return None if is_one or not isinstance(source, Iterable) else iter(source)


def _holds_names(array: Any) -> bool:
    """Whether it is a column of paths, or of other objects: numpy's, or a Series."""
    return array.ndim == 1 and getattr(array.dtype, "kind", "") in ("O", "U", "T")


def every_image(source: Any) -> Iterator[Any]:
    """The same, of an array or a tensor of 4 dimensions its parts, and of one image that image."""
    if getattr(source, "ndim", 0) == STACK_DIMENSIONS:
        return iter(source)
    return images_in(source) or iter([source])
