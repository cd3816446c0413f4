"""COCO instance JSON, with or without semantic PNGs, as the COCO panoptic format needs it. H x W pixels of an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from unipan.classes import VOID
from unipan.data.coco_json import stem_below
from unipan.data.image_paths import find_listed
from unipan.errors import InputError, about
from unipan.tools.convert.instance_classes import class_table, own_classes
from unipan.tools.convert.instance_json import InstanceEntry, read_instance_json
from unipan.tools.convert.label_maps import ClassNumbers
from unipan.tools.convert.rasterize import Shape, paint
from unipan.tools.convert.segmentation import check_pixels, segmentation_patch
from unipan.tools.convert.source import Converted, Unclaimed, assembled, check_once, check_size, checked_folder, files_by_stem
from unipan.types import Size

Overlap = Literal["small", "order"]
"""Who gets a pixel that several instances claim: the one of the smaller area, or the later one."""


class InstanceSource:
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
        self._maps = files_by_stem(semantic, "PNG file", {".png"}) if semantic else {}
        self._semantic = semantic
        content = read_instance_json(json_path)
        every = [entry for entries in content.annotations.values() for entry in entries]
        categories, self.remarks = own_classes(json_path, content.categories, {entry.category_id for entry in every})
        self.classes = class_table(categories, stuff, background)
        with about(json_path):
            check_pixels([entry.segmentation for entry in every])
        self._images, self._annotations = list(content.images.values()), content.annotations
        names = [image.file_name for image in self._images]
        self._listed = find_listed(images_dir, names, json_path)
        self.file_names, self.faults = self._listed.paths, content.faults
        check_once([f"{image.file_name} (image {image.id})" for image in self._images], self.file_names)
        self._rest = len(self.classes) - 1 if background else VOID
        self._numbers = ClassNumbers(self.classes, ignore) if semantic else None
        above = "smaller" if overlap == "small" else "later"
        self.overlap_rule = f"things before crowds before stuff, and among things to the {above} one (--overlap)"
        self._json_path, self._overlap, self.clip = json_path, overlap, clip
        self._unclaimed: Unclaimed = unclaimed

    def __getitem__(self, index: int, /) -> Converted:
        image, file_name, faults = self._images[index], self.file_names[index], list[str]()
        with about(self._json_path):
            self._listed.check(index)
        size = check_size(self.images_dir / file_name, (image.height, image.width), f"its entry in {self._json_path}")
        below = self._below(image.file_name, file_name, size)
        entries, shapes = list[InstanceEntry](), list[Shape]()
        for entry in self._annotations.get(image.id, []):
            where = f"{self._json_path}, annotation {entry.id} ({image.file_name})"
            patch = segmentation_patch(entry.segmentation, size, clip=self.clip, where=where, faults=faults)
            if patch is not None:
                shapes.append(Shape(len(entries), patch))
                entries.append(entry)
        owner, contested = paint(sorted(shapes, key=lambda shape: self._height(shape, entries[shape.segment])), size)
        panoptic, gone = assembled(owner, [self._claim(entry) for entry in entries], below, self.classes, self._unclaimed)
        return Converted(
            image_id=image.id,
            file_name=file_name,
            panoptic=panoptic,
            contested_px=contested,
            vanished=tuple(f"{file_name}: annotation {entries[position].id}" for position in gone),
            faults=tuple(faults),
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

    def _below(self, listed_name: str, file_name: str, size: Size) -> NDArray[np.int16]:
        """(H, W) class indices below all instances. listed_name: the image's in the JSON; its map may bear either name."""
        if not self._semantic or not self._numbers:
            return np.full(size, self._rest, dtype=np.int16)
        stem = stem_below(listed_name)
        stems = (normalize("NFC", one) for one in (stem, stem_below(file_name)))
        path = next((self._maps[one] for one in stems if one in self._maps), None) or self._semantic / f"{stem}.png"
        below = self._numbers.read(path)
        check_size(path, size, f"its image {file_name}")
        return below
