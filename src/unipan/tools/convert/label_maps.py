"""Maps of plain numbers, one a pixel: class numbers or instance numbers in 8- or 16-bit PNG files. H x W pixels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID, ClassTable
from unipan.data.coco_json import listing
from unipan.errors import InputError
from unipan.ops.images import UNREADABLE, is_file, open_image
from unipan.ops.raw_forms import plain_numbers
from unipan.ops.upright import EXIF_ORIENTATION, TURNED

LARGEST = 2**16 - 1

PLAIN_MODES = ("1", "L", "P", "I", "I;16", "I;16B")
"""Pillow's modes of one number a pixel; of a palette file the numbers count, not the colors."""


def read_label_map(path: Path) -> NDArray[np.int32]:
    """(H, W) numbers 0..65535."""
    if not is_file(path):
        raise InputError(f"there is no file {path}; expected a PNG of one number a pixel, named like its image.")
    try:
        with open_image(path) as file:
            kind, mode = file.format, file.mode
            numbers = plain_numbers(file) if mode in PLAIN_MODES else None
            turned = file.getexif().get(EXIF_ORIENTATION) in TURNED  # last: to look for it loads the file
    except UNREADABLE as error:
        raise InputError(f"cannot read {path}: {error}. Expected a complete PNG file.") from error
    if turned:  # by whom, and whether its numbers were turned too, no one can tell
        raise InputError(
            f"{path} has an EXIF tag that turns it, but maps are read as they are; save it upright, without the tag."
        )
    if kind != "PNG" or numbers is None:
        raise InputError(
            f"{path} is a {kind} file of mode {mode}; expected a PNG of one number a pixel (8- or 16-bit gray, or a palette), "
            "not colors. Export the numbers of the classes or instances."
        )
    if numbers.size and (numbers.min() < 0 or numbers.max() > LARGEST):
        raise InputError(f"{path}: its numbers reach from {numbers.min()} to {numbers.max()}; expected 0 to {LARGEST}.")
    return numbers


class ClassNumbers:
    """From a semantic map's numbers, the classes' dataset ids, to class indices."""

    def __init__(self, classes: ClassTable, ignored: Iterable[int]) -> None:
        """ignored: numbers that mean unlabelled."""
        ignored = list(ignored)
        clash = sorted(set(ignored) & set(classes.index_of_dataset_id))
        if clash:
            raise InputError(f"{listing(clash)} is both a class and a number to ignore; choose others with --ignore.")
        outside = [id for id in (*classes.index_of_dataset_id, *ignored) if not 0 <= id <= LARGEST]
        if outside:
            raise InputError(f"class ids {listing(outside)}: a semantic PNG holds 0 to {LARGEST}. Renumber them.")
        self._known = np.zeros(LARGEST + 1, dtype=bool)
        self._index = np.full(LARGEST + 1, VOID, dtype=np.int16)
        self._known[ignored] = True
        for id, index in classes.index_of_dataset_id.items():
            self._known[id], self._index[id] = True, index

    def read(self, path: Path) -> NDArray[np.int16]:
        """(H, W) class indices, VOID where unlabelled."""
        numbers = read_label_map(path)
        unknown = np.flatnonzero((np.bincount(numbers.ravel(), minlength=LARGEST + 1) > 0) & ~self._known)
        if unknown.size:
            raise InputError(
                f"{path} holds the numbers {listing(unknown.tolist())}, which are no class; "
                "add them to the classes (--stuff or --classes), or name all that mean unlabelled, as in --ignore 0 255."
            )
        return self._index[numbers]
