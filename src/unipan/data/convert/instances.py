"""COCO instance JSON, with or without semantic PNGs, as the COCO panoptic format needs it. H x W pixels of an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID
from unipan.data.convert.form import Converted, Unclaimed, about, assembled, check_size, checked_folder
from unipan.data.convert.instance_json import InstanceEntry, PictureEntry, Rle, by_image, class_table, read_instance_json
from unipan.data.convert.label_maps import ClassNumbers
from unipan.data.convert.mask_patches import Patch, check_points, mask_patch, polygons_patch
from unipan.data.convert.overlap import Shape, paint
from unipan.data.convert.rle import mask_from_counts
from unipan.errors import InputError
from unipan.types import Size

Overlap = Literal["small", "order"]
"""Who gets a pixel that several instances claim: the one of the smaller area, or the later one."""


class InstanceForm:
    """Instances over a semantic map: stuff lies below crowds, and crowds below things, among which `overlap` decides.

    stuff:      classes that are stuff. Those of the JSON's categories that are among them (by id) are stuff too, the rest things.
    semantic:   folder with STEM.png for each image, whose numbers are class ids; without it the rest of an image is void,
                or of the stuff class `background`.
    """

    def __init__(
        self,
        json_path: Path,
        images_dir: Path,
        *,
        semantic: Path | None,
        stuff: list[dict[str, Any]],
        background: str | None,
        ignore: Sequence[int],
        overlap: Overlap,
        unclaimed: Unclaimed,
        clip: bool,
    ) -> None:
        if semantic and background:
            raise InputError("--semantic and --background both say what lies around the instances; name one of them.")
        self.images_dir = checked_folder(images_dir, "images")
        self._semantic = semantic and checked_folder(semantic, "semantic PNG files")
        content = read_instance_json(json_path)
        with about(json_path):
            self.classes = class_table(content.categories, stuff, background)
        self._pictures, self._annotations = content.images, by_image(content)
        self.file_names = [picture.file_name for picture in self._pictures]
        self._rest = len(self.classes) - 1 if background else VOID
        self._numbers = ClassNumbers(self.classes, ignore) if semantic else None
        above = "smaller" if overlap == "small" else "later"
        self.overlap_rule = f"things before crowds before stuff, and among things to the {above} one (--overlap)"
        self._json_path, self._overlap, self._clip = json_path, overlap, clip
        self._unclaimed: Unclaimed = unclaimed

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int, /) -> Converted:
        picture = self._pictures[index]
        size = picture.height, picture.width
        check_size(self.images_dir / picture.file_name, size, f"its entry in {self._json_path}")
        entries = self._annotations.get(picture.id, [])
        shapes = [Shape(place, self._patch(entry, picture)) for place, entry in enumerate(entries)]
        owner, contested = paint(sorted(shapes, key=lambda shape: self._height(shape, entries[shape.segment])), size)
        claims = [self._claim(entry) for entry in entries]
        panoptic, gone = assembled(owner, claims, self._below(picture), self.classes, self._unclaimed)
        return Converted(
            image_id=picture.id,
            file_name=picture.file_name,
            panoptic=panoptic,
            contested_px=contested,
            vanished=tuple(f"{picture.file_name}: annotation {entries[place].id}" for place in gone),
        )

    def _height(self, shape: Shape, entry: InstanceEntry) -> tuple[int, int]:
        """What is painted first lies lowest."""
        class_index, is_crowd = self._claim(entry)
        layer = 0 if not self.classes.is_thing[class_index] else 1 if is_crowd else 2
        return layer, -shape.patch.area if self._overlap == "small" else shape.segment

    def _claim(self, entry: InstanceEntry) -> tuple[int, bool]:
        """Its class index, and whether it is a crowd; stuff never is."""
        class_index = self.classes.index_of_dataset_id[entry.category_id]
        return class_index, bool(entry.iscrowd) and self.classes.is_thing[class_index]

    def _patch(self, entry: InstanceEntry, picture: PictureEntry) -> Patch:
        with about(f"{self._json_path}, annotation {entry.id} ({picture.file_name})"):
            return entry_patch(entry, (picture.height, picture.width), clip=self._clip)

    def _below(self, picture: PictureEntry) -> NDArray[np.uint8]:
        """(H, W) class indices below all instances."""
        size = picture.height, picture.width
        if not self._semantic or not self._numbers:
            return np.full(size, self._rest, dtype=np.uint8)
        path = (self._semantic / picture.file_name).with_suffix(".png")
        below = self._numbers.read(path)
        check_size(path, size, f"the entry of {picture.file_name} in {self._json_path}")
        return below


def entry_patch(entry: InstanceEntry, size: Size, *, clip: bool) -> Patch:
    """The pixels of an annotation, of whichever form."""
    match entry.segmentation:
        case Rle(counts, rle_size):
            if rle_size != size:
                raise InputError(
                    f"its mask is {rle_size[1]}x{rle_size[0]} (width x height), its image {size[1]}x{size[0]}; "
                    "both must be of one size."
                )
            return mask_patch(mask_from_counts(counts, size))
        case [_, *_] as parts:
            polygons = [corners(part) for part in parts]
            for points in polygons:
                check_points(points, size, clip=clip)
            return polygons_patch(polygons, size)
        case _:
            raise InputError("it has no segmentation (a box alone is not enough); remove it or give it polygons or an RLE.")


def corners(numbers: Sequence[float]) -> NDArray[np.float64]:
    """(k, 2) corners from x1, y1, x2, y2, ..."""
    if len(numbers) % 2 or len(numbers) < 6:
        raise InputError(
            f"a polygon of {len(numbers)} numbers came; a polygon is x, y pairs of at least 3 points. Remove or mend it."
        )
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)
