"""What all converters to the COCO panoptic format share. H x W pixels of an image, n segments."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol
from unicodedata import is_normalized, normalize

import numpy as np
import torch
from numpy.typing import NDArray

from unipan.classes import VOID, ClassTable
from unipan.data.coco_json import leads_out, read_json_as, stem_below
from unipan.data.coco_writer import png_of
from unipan.data.image_paths import check_apart, find_files
from unipan.errors import InputError
from unipan.ops.images import UNREADABLE, is_file, open_image
from unipan.ops.segments import Label, joined_stuff, panoptic_map
from unipan.ops.upright import upright_size
from unipan.types import PanopticMap, Size

Unclaimed = Literal["crowd", "void"]
"""What becomes of pixels that the semantic map gives to a thing class and no instance claims."""


@dataclass(frozen=True, kw_only=True)
class Converted:
    """One image in the new format."""

    image_id: int | str
    file_name: str
    """The image, below the images folder."""
    panoptic: PanopticMap
    contested_px: int = 0
    """Pixels that several segments claimed."""
    vanished: tuple[str, ...] = ()
    """Segments of which no pixel is left, each in words for a message."""
    faults: tuple[str, ...] = ()
    """What of its annotation is not in the map, because it can't be used; each a sentence."""


class Source(Protocol):
    """A data set in another format, image by image. An image that can't be used at all is an InputError."""

    classes: ClassTable
    images_dir: Path
    file_names: list[str]
    """Of each image, below that folder."""
    faults: list[str]
    """What is left out of the whole, because it can't be used; each a sentence."""
    overlap_rule: str
    """Who gets a pixel that several segments claim, in words."""
    clip: bool
    """Whether what lies outside its image is cut away."""

    @property
    def remarks(self) -> Sequence[str]:
        """What else a person should know of the whole; each a sentence."""
        ...

    def __getitem__(self, index: int, /) -> Converted: ...


def assembled(
    owner: NDArray[np.int32],
    claims: Sequence[tuple[int, bool] | None],
    below: NDArray[np.int16],
    classes: ClassTable,
    unclaimed: Unclaimed,
) -> tuple[PanopticMap, list[int]]:
    """Shapes over a semantic map, a class's stuff as one segment; and the positions in `claims` of which no pixel is left.

    owner:  (H, W) positions in `claims`, negative where the semantic map counts.
    claims: the n segments' class index and whether it is a crowd; None for a region that is void.
    below:  (H, W) class indices, VOID where unlabelled.
    """
    labels = [Label(position + 1, *claim) for position, claim in enumerate(claims) if claim is not None]
    first = len(claims) + 1
    id_of_class = np.zeros(VOID + 1, dtype=np.int32)
    for index, is_thing in enumerate(classes.is_thing):
        if not is_thing or unclaimed == "crowd":
            id_of_class[index] = first + index
            labels.append(Label(first + index, index, is_thing))
    ids = np.where(owner >= 0, owner + 1, id_of_class[below])
    panoptic = panoptic_map(torch.from_numpy(ids), labels, classes)
    left = {segment.id for segment in panoptic.segments}
    gone = [position for position, claim in enumerate(claims) if claim is not None and position + 1 not in left]
    return joined_stuff(panoptic, classes), gone


def read_categories(path: Path) -> list[dict[str, Any]]:
    """A JSON file with a list of classes, as the `categories` of the COCO formats are."""
    return read_json_as(list[dict[str, Any]], path, 'a JSON list of classes such as [{"id": 1, "name": "sky"}]')


def check_once(sources: Sequence[Path | str], file_names: Sequence[str]) -> None:
    """Refuse two sources of one image, and images that would get one PNG. sources: what names each image, for the message."""
    taken: dict[str, Path | str] = {}
    for source, name in zip(sources, file_names, strict=True):
        if name in taken:
            raise InputError(f"{taken[name]} and {source} are of one file, {name}; put their labels into one of them.")
        taken[name] = source
    check_apart(sources, [png_of(name) for name in file_names])


def safe_name(name: str) -> str:
    """A file name out of a JSON, relative, with forward slashes; one that leads out of its folder is refused."""
    if leads_out(name):
        raise InputError(f"the file name {name!r} leads out of the images folder; name files relative to that folder.")
    return str(PurePosixPath(name.replace("\\", "/")))


def files_by_stem(folder: Path, what: str, suffixes: set[str] | None = None) -> dict[str, Path]:
    """The files below a folder, by their paths below it without suffix, in Unicode's composed form.

    what: they in words. suffixes: None for all images.
    """
    files = find_files(checked_folder(folder, f"{what}s"), suffixes)
    if not files.paths:
        raise InputError(
            f"the folder {folder} holds no {what} (left out: {files.left_out or 'nothing'}); name the one that does."
        )
    names = [path.relative_to(folder).as_posix() for path in files.paths]
    # What would look alike is shown by its signs' numbers.
    shown = [path if is_normalized("NFC", name) else ascii(str(path)) for name, path in zip(names, files.paths, strict=True)]
    check_apart(shown, [normalize("NFC", png_of(name)) for name in names])
    return {normalize("NFC", stem_below(name)): path for name, path in zip(names, files.paths, strict=True)}


def checked_folder(folder: Path, what: str) -> Path:
    """The folder, if it is there. what: its content in words."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; expected the {what} in it.")
    return folder


def size_of_file(image: Path) -> Size:
    """An image's height and width as a person sees it. Reads its header alone."""
    if not is_file(image):
        raise InputError(f"there is no image {image}; check the folder, or remove what names it.")
    try:
        with open_image(image) as file:
            return upright_size(file)
    except UNREADABLE as error:
        raise InputError(f"cannot read the image {image}: {error}. Expected a complete image file (JPEG, PNG, ...).") from error


def check_size(image: Path, size: tuple[int | None, int | None], source: str) -> Size:
    """The size (height, width) of an image, upright; it must be the annotation's, as far as that has one: 0 is none.

    source: the annotation in words.
    """
    found = size_of_file(image)
    wanted = tuple(stated or its for its, stated in zip(found, size, strict=True))
    if found != wanted:
        raise InputError(
            f"{image} is {found[1]}x{found[0]} (width x height, upright) but {source} is {wanted[1]}x{wanted[0]}; "
            "both must be of one size. Export the annotation again for this very image."
        )
    return found
