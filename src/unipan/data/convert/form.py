"""What all converters to the COCO panoptic format share. H x W pixels of an image, n segments."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from unipan.classes import VOID, VOID_ID, ClassTable
from unipan.data.coco_json import leads_out, read_json_as, stem_below
from unipan.data.image_paths import check_apart, find_files
from unipan.errors import InputError
from unipan.ops.images import UNREADABLE, is_file
from unipan.ops.segments import Label, joined_stuff, panoptic_map
from unipan.types import PanopticMap, Size

Unclaimed = Literal["crowd", "void"]
"""What becomes of pixels that the semantic map gives to a thing class and no instance claims."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""

EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, kw_only=True)
class Converted:
    """One image in its new form."""

    image_id: int | str
    file_name: str
    """The picture, below the images folder."""
    panoptic: PanopticMap
    contested_px: int
    """Pixels that several segments claimed."""
    vanished: tuple[str, ...]
    """Segments of which no pixel is left, each in words for a message."""


class Form(Protocol):
    """A data set in another format, image by image."""

    classes: ClassTable
    images_dir: Path
    overlap_rule: str
    """Who gets a pixel that several segments claim, in words."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Converted: ...


def assembled(
    owner: NDArray[np.int32],
    claims: Sequence[tuple[int, bool] | None],
    below: NDArray[np.uint8],
    classes: ClassTable,
    unclaimed: Unclaimed,
) -> tuple[PanopticMap, list[int]]:
    """Shapes over a semantic map, a class's stuff as one segment; and the places in `claims` of which no pixel is left.

    owner:  (H, W) places in `claims`, negative where the semantic map counts.
    claims: the n segments' class index and whether it is a crowd; None for a region that is void.
    below:  (H, W) class indices, VOID where unlabelled.
    """
    labels = [Label(place + 1, *claim) for place, claim in enumerate(claims) if claim is not None]
    first = len(claims) + 1
    id_of_class = np.zeros(VOID + 1, dtype=np.int32)
    for index, is_thing in enumerate(classes.is_thing):
        if not is_thing or unclaimed == "crowd":
            id_of_class[index] = first + index
            labels.append(Label(first + index, index, is_thing))
    ids = np.where(owner >= 0, owner + 1, id_of_class[below])
    panoptic = panoptic_map(torch.from_numpy(ids), labels, classes)
    left = {segment.id for segment in panoptic.segments}
    gone = [place for place, claim in enumerate(claims) if claim is not None and place + 1 not in left]
    return joined_stuff(panoptic, classes), gone


def void_px(panoptic: PanopticMap) -> int:
    """Unlabelled pixels."""
    return int((panoptic.ids == VOID_ID).sum())


@contextmanager
def about(what: object) -> Iterator[None]:
    """Name what a complaint is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def read_categories(path: Path) -> list[dict[str, Any]]:
    """A JSON file with a list of classes, as the `categories` of the COCO formats are."""
    return read_json_as(list[dict[str, Any]], path, 'a JSON list of classes such as [{"id": 1, "name": "sky"}]')


@dataclass(slots=True)
class _Categories:
    categories: list[dict[str, Any]]


def read_panoptic_categories(path: Path) -> list[dict[str, Any]]:
    """The `categories` of a COCO panoptic JSON."""
    return read_json_as(_Categories, path, "a COCO panoptic JSON").categories


def safe_name(name: str) -> str:
    """A file name out of a JSON, relative, with forward slashes; one that leads out of its folder is refused."""
    if leads_out(name) or not PurePosixPath(name).name:
        raise InputError(f"the file name {name!r} leads out of the images folder; name files relative to that folder.")
    return str(PurePosixPath(name.replace("\\", "/")))


def files_by_stem(folder: Path, what: str, suffixes: set[str] | None = None) -> dict[str, Path]:
    """The files below a folder, by their paths below it without suffix. what: they in words. suffixes: None for all images."""
    files = find_files(checked_folder(folder, f"{what}s"), suffixes)
    if not files.paths:
        raise InputError(
            f"the folder {folder} holds no {what} (left out: {files.left_out or 'nothing'}); name the one that does."
        )
    stems = [stem_below(path.relative_to(folder).as_posix()) for path in files.paths]
    check_apart(files.paths, [f"{stem}.png" for stem in stems])
    return dict(zip(stems, files.paths, strict=True))


def checked_folder(folder: Path, what: str) -> Path:
    """The folder, if it is there. what: its content in words."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; expected the {what} in it.")
    return folder


def check_size(image: Path, size: Size, source: str) -> None:
    """Refuse a picture that is not there or not of the annotation's size (height, width), seen upright. Reads its header alone.

    source: the annotation in words.
    """
    if not is_file(image):
        raise InputError(f"there is no image {image}, which {source} names; check --images, or remove the entry.")
    try:
        with Image.open(image) as file:
            width, height = file.size
            if file.getexif().get(EXIF_ORIENTATION) in SIDEWAYS:
                width, height = height, width
    except UNREADABLE as error:
        raise InputError(f"cannot read the image {image}: {error}. Expected a complete image file (JPEG, PNG, ...).") from error
    if (height, width) != size:
        raise InputError(
            f"{image} is {width}x{height} (width x height, upright) but {source} is {size[1]}x{size[0]}; "
            "both must be of one size. Export the annotation again for this very picture."
        )
