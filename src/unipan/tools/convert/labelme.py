"""Polygon JSON files as labelme writes them, as the COCO panoptic format needs them. H x W pixels of an image."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from unipan.classes import VOID, ClassTable
from unipan.data.coco_json import fault_of, listing, read_json_as
from unipan.data.image_ids import ids_among
from unipan.data.image_paths import find_files, find_listed
from unipan.errors import InputError, about, noted, plural
from unipan.tools.convert.labelme_images import image_name
from unipan.tools.convert.labelme_labels import check_spellings, labels_of, malformed_shapes, shown_label
from unipan.tools.convert.labelme_shapes import LabelmeShape, shape_patch
from unipan.tools.convert.rasterize import Shape, paint
from unipan.tools.convert.segmentation import check_pixels
from unipan.tools.convert.source import Converted, assembled, check_once, check_size, checked_folder, read_categories


@dataclass(slots=True)
class LabelmeFile:
    """A file's content, under labelme's own names; the image that may be in it is passed over."""

    shapes: list[Annotated[LabelmeShape | Any, Field(union_mode="left_to_right")]]
    """One that is no shape stays as it stands there."""
    imagePath: str | None = None
    imageHeight: int | None = None
    imageWidth: int | None = None


@dataclass
class LabelmeFolder:
    """All of labelme's files below a folder that can be read."""

    path: Path
    files: dict[Path, LabelmeFile] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """A sentence for each file that can't."""


def read_labelme(folder: Path) -> LabelmeFolder:
    """Read the JSON files of a folder and its subfolders, by name. Raises: InputError where none can be read."""
    found = find_files(checked_folder(folder, "labelme JSON files"), {".json"})
    if not found.paths:
        raise InputError(
            f"the folder {folder} holds no JSON file (left out: {found.left_out or 'nothing'}); name the one with labelme's."
        )
    content = LabelmeFolder(folder)
    for path in found.paths:
        with noted(content.faults):
            content.files[path] = read_json_as(LabelmeFile, path, "a labelme JSON (shapes, imagePath)")
    if not content.files:
        raise InputError(content.faults[0])
    return content


class LabelmeSource:
    """A folder of labelme's files. Of shapes that overlap, the later one in the file lies on top, as labelme draws them.

    Thing shapes of one group are one segment, and so is all stuff of one class; those whose flag `is_crowd` is set are crowds.
    Pixels without a shape are void, or of the stuff class `background`, and shapes with a label to ignore void what is below.
    """

    remarks: Sequence[str] = ()
    overlap_rule = "the shape that stands later in its file"

    def __init__(
        self,
        content: LabelmeFolder,
        images_dir: Path,
        *,
        classes: ClassTable,
        ignore: Sequence[str],
        background: str | None,
        clip: bool,
    ) -> None:
        self.classes, self.images_dir, self.faults = classes, checked_folder(images_dir, "images"), content.faults
        self._files = list(content.files.items())
        names = [image_name(path, file.imagePath, content.path, images_dir) for path, file in self._files]
        self._listed = find_listed(images_dir, names, content.path)
        self.file_names = self._listed.paths
        check_once(list(content.files), self.file_names)
        self._ids = ids_among([images_dir / name for name in self.file_names], find_files(images_dir).paths)
        self._index = {info.name: index for index, info in enumerate(classes.classes)}
        if background and background not in self._index:
            raise InputError(f"--background {background} is no class; there are {listing(self._index)}.")
        self._rest = self._index[background] if background else VOID
        self._ignore, self.clip = frozenset(ignore), clip

    def __getitem__(self, index: int, /) -> Converted:
        path, content = self._files[index]
        file_name, faults = self.file_names[index], list[str]()
        with about(path):
            check_pixels(shape.points for shape in content.shapes if isinstance(shape, LabelmeShape))
            self._listed.check(index)
        size = check_size(self.images_dir / file_name, (content.imageHeight, content.imageWidth), str(path))
        segments: dict[Hashable, int] = {}
        claims, shapes, firsts = list[tuple[int, bool] | None](), list[Shape](), list[int]()
        for position, shape in enumerate(content.shapes, 1):
            label = f" ({shape.label})" if isinstance(shape, LabelmeShape) else ""
            with noted(faults, f"{path}: shape {position}{label}"):
                if not isinstance(shape, LabelmeShape):
                    raise InputError(f"it is no shape: {fault_of(LabelmeShape, shape)}. Mend or remove it.")
                claim, patch = self._claim(shape), shape_patch(shape, size, clip=self.clip)
                segment = segments.setdefault(self._key(shape, position), len(segments))
                if segment == len(claims):
                    claims.append(claim)
                    firsts.append(position)
                shapes.append(Shape(segment, patch))
        owner, contested = paint(shapes, size)
        below = np.full(size, self._rest, dtype=np.int16)
        panoptic, gone = assembled(owner, claims, below, self.classes, "void")
        return Converted(
            image_id=self._ids[index],
            file_name=file_name,
            panoptic=panoptic,
            contested_px=contested,
            vanished=tuple(f"{path.name}: shape {firsts[segment]}" for segment in gone),
            faults=tuple(faults),
        )

    def _key(self, shape: LabelmeShape, position: int) -> Hashable:
        """What the shapes of one segment share."""
        is_thing = shape.label in self._index and self.classes.is_thing[self._index[shape.label]]
        if not is_thing and not shape.is_crowd:
            return shape.label
        group = ("shape", position) if shape.group is None else ("group", shape.group)
        return shape.label, shape.is_crowd, *group

    def _claim(self, shape: LabelmeShape) -> tuple[int, bool] | None:
        """A shape's class, and whether it is a crowd; None for void."""
        label = shape.label
        if label in self._ignore:
            return None
        if not label.strip():
            raise InputError("its label is empty. Write one, or remove the shape.")
        if label not in self._index:
            raise InputError(
                f"the label {shown_label(label)} is no class; there are {listing(self._index)}. Correct it, add it to the "
                "classes, or name it after --ignore."
            )
        return self._index[label], shape.is_crowd


def classes_of_labels(
    content: LabelmeFolder, *, classes: Path | None, things: Sequence[str], ignore: Sequence[str], background: str | None
) -> ClassTable:
    """The classes of a JSON list; without one, things as given, then all other labels by name as stuff, and the background."""
    if bool(classes) == bool(things):
        raise InputError(
            "say which labels are things: --things LABEL ..., or --classes JSON with a list of the classes; not both."
        )
    table = ClassTable.from_categories(read_categories(classes)) if classes else None
    named = (one.name for one in table.classes) if table else (*things, background)
    both = [name for name in named if name in ignore]
    if both:
        raise InputError(f"{listing(both)} came as a class and after --ignore, which makes its shapes void; name it once.")
    if table:
        return table
    labels = set[str]().union(*(labels_of(file.shapes) for file in content.files.values()))
    others = {background} if background else set[str]()
    check_spellings(labels | others, {*things, *ignore} | others)
    unseen = [name for name in (*things, *ignore) if name not in labels]
    if unseen:
        broken = [f"{path.name}: {fault}" for path, file in content.files.items() for fault in malformed_shapes(file.shapes)]
        unread = f"{plural(len(broken), 'shape')} can't be read, first {broken[0]}. " if broken else ""
        raise InputError(
            f"no shape in {content.path} is labelled {listing(unseen)}; the labels are {listing(sorted(labels)) or 'none'}. "
            f"{unread}Correct the name, or give the classes of all splits with --classes."
        )
    stuff = sorted(labels - {*things, *ignore})
    if background and background not in stuff:
        stuff.append(background)
    names = [(name, 1) for name in things] + [(name, 0) for name in stuff]
    return ClassTable.from_categories([{"id": n, "name": name, "isthing": kind} for n, (name, kind) in enumerate(names, 1)])
