"""Pairs of PNGs, one of class numbers and one of instance numbers for each image, as the COCO panoptic format needs them."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unipan.classes import VOID, ClassTable
from unipan.data.image_ids import ids_among
from unipan.errors import InputError
from unipan.ops.segments import runs_of
from unipan.tools.convert.label_maps import LARGEST, ClassNumbers, read_label_map
from unipan.tools.convert.rasterize import NOBODY
from unipan.tools.convert.source import Converted, Unclaimed, assembled, check_size, files_by_stem

NO_INSTANCE = 0
"""In an instance map."""


class PairSource:
    """Folders of semantic and instance maps, named STEM.png like the images and in the same subfolders.

    Pixels of one thing class and one instance number are one segment, so that numbers may be unique in the image or in the class
    alone; the numbers of stuff count for nothing.
    """

    remarks: Sequence[str] = ()
    overlap_rule = "nobody: maps of one number a pixel can't overlap"
    clip = False

    def __init__(
        self,
        semantic: Path,
        instances: Path,
        images_dir: Path,
        *,
        classes: ClassTable,
        ignore: Sequence[int],
        unclaimed: Unclaimed,
    ) -> None:
        self.classes, self.images_dir = classes, images_dir
        self._semantic, self._instances = (files_by_stem(folder, "PNG file", {".png"}) for folder in (semantic, instances))
        images = files_by_stem(images_dir, "image")
        maps = {semantic: self._semantic, instances: self._instances}
        self._stems, self.faults = _partners(maps, maps | {images_dir: images})
        self.file_names = [images[stem].relative_to(images_dir).as_posix() for stem in self._stems]
        self._ids = ids_among([images[stem] for stem in self._stems], list(images.values()))
        self._numbers = ClassNumbers(classes, ignore)
        self._unclaimed: Unclaimed = unclaimed
        self._is_thing = np.zeros(VOID + 1, dtype=bool)
        self._is_thing[list(classes.things)] = True

    def __getitem__(self, index: int, /) -> Converted:
        stem, file_name = self._stems[index], self.file_names[index]
        semantic_path, instance_path = self._semantic[stem], self._instances[stem]
        semantic, instances = self._numbers.read(semantic_path), read_label_map(instance_path)
        height, width = semantic.shape
        for path in (instance_path, self.images_dir / file_name):
            check_size(path, (height, width), str(semantic_path))
        owner, claims = self._segments(semantic, instances)
        panoptic, _ = assembled(owner, claims, semantic, self.classes, self._unclaimed)
        return Converted(image_id=self._ids[index], file_name=file_name, panoptic=panoptic)

    def _segments(
        self, semantic: NDArray[np.int16], instances: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], list[tuple[int, bool]]]:
        """The owner map (H, W) and each thing's claim, for `assembled`."""
        # Class and instance make one number, looked up once for each run of pixels.
        runs = runs_of(torch.from_numpy(semantic.astype(np.int64) * (LARGEST + 1) + instances))
        class_indices, numbers = np.divmod(runs.ids, LARGEST + 1)
        claimed = self._is_thing[class_indices] & (numbers != NO_INSTANCE)
        things, position = np.unique(runs.ids[claimed], return_inverse=True)
        owner = np.full(len(runs.ids), NOBODY, dtype=np.int32)
        owner[claimed] = position
        claims = [(class_index, False) for class_index in (things // (LARGEST + 1)).tolist()]
        return np.repeat(owner, runs.lengths).reshape(semantic.shape), claims


def _partners(maps: dict[Path, dict[str, Path]], folders: dict[Path, dict[str, Path]]) -> tuple[list[str], list[str]]:
    """The stems that all folders have, and a sentence for each map that lacks a partner or an image; further images may be there.

    Each folder's files by stem. Raises: InputError where no stem stands in all.
    """
    common = set.intersection(*(set(files) for files in folders.values()))
    if not common:
        firsts = ", ".join(f"{folder} (first {min(files)})" for folder, files in folders.items())
        raise InputError(f"no file name stands in all of {firsts}; name both maps like their image, as in STEM.png and STEM.jpg.")
    by_small_letters = {folder: {stem.casefold(): path.name for stem, path in files.items()} for folder, files in folders.items()}
    faults = [
        f"{maps[folder][stem]} has no partner in {other}{_instead(by_small_letters[other].get(stem.casefold()))}"
        for folder, other in product(maps, folders)
        for stem in sorted(set(maps[folder]) - set(folders[other]))
    ]
    return sorted(common), faults


def _instead(namesake: str | None) -> str:
    """How the sentence of a map without a partner ends. namesake: a file whose letters are small or large otherwise."""
    return f", but {namesake} is there; write both names alike." if namesake else "; add it, or remove this map."
