"""Polygon JSON files as labelme writes them, as the COCO panoptic format needs them. H x W pixels of an image."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from unipan.classes import VOID, ClassTable
from unipan.data.coco_json import listing, read_json_as
from unipan.data.convert.form import Converted, about, assembled, check_size, checked_folder, read_categories
from unipan.data.convert.labelme_shapes import LabelmeShape, shape_patch
from unipan.data.convert.overlap import Shape, paint
from unipan.data.image_paths import find_files
from unipan.errors import InputError

WHAT = "a labelme JSON (shapes, imagePath, imageHeight, imageWidth)"


@dataclass(slots=True)
class LabelmeFile:
    """A file's content, under labelme's own names; the picture that may be in it is passed over."""

    shapes: list[LabelmeShape]
    imagePath: str
    imageHeight: int
    imageWidth: int


class LabelmeForm:
    """A folder of labelme's files. Of shapes that overlap, the later one in the file lies on top, as labelme draws them.

    Thing shapes of one group are one segment, and so is all stuff of one class. Pixels without a shape are void, or of the stuff
    class `background`, and shapes with a label to ignore make void what lies below them.
    """

    overlap_rule = "the shape that stands later in its file"

    def __init__(
        self, folder: Path, images_dir: Path, *, classes: ClassTable, ignore: Sequence[str], background: str | None, clip: bool
    ) -> None:
        self.classes, self.images_dir = classes, checked_folder(images_dir, "images")
        self._paths = labelme_files(folder)
        self.file_names = [_file_name(read_labelme(path)) for path in self._paths]
        self._index = {info.name: index for index, info in enumerate(classes.classes)}
        if background and background not in self._index:
            raise InputError(f"--background {background} is no class; there are {listing(self._index)}.")
        self._rest = self._index[background] if background else VOID
        self._ignore, self._clip = frozenset(ignore), clip

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int, /) -> Converted:
        path = self._paths[index]
        content, file_name = read_labelme(path), self.file_names[index]
        size = content.imageHeight, content.imageWidth
        check_size(self.images_dir / file_name, size, str(path))
        keys = [self._key(shape, place) for place, shape in enumerate(content.shapes)]
        segments = list(dict.fromkeys(keys))
        with about(path):
            claims = [self._claim(content.shapes[keys.index(key)].label) for key in segments]
            shapes = []
            for place, (key, shape) in enumerate(zip(keys, content.shapes, strict=True)):
                with about(f"shape {place + 1} ({shape.label})"):
                    shapes.append(Shape(segments.index(key), shape_patch(shape, size, clip=self._clip)))
        owner, contested = paint(shapes, size)
        below = np.full(size, self._rest, dtype=np.uint8)
        panoptic, gone = assembled(owner, claims, below, self.classes, "void")
        return Converted(
            image_id=Path(file_name).stem,
            file_name=file_name,
            panoptic=panoptic,
            contested_px=contested,
            vanished=tuple(f"{path.name}: shape {keys.index(segments[place]) + 1}" for place in gone),
        )

    def _key(self, shape: LabelmeShape, place: int) -> Hashable:
        """What the shapes of one segment share."""
        is_thing = shape.label in self._index and self.classes.is_thing[self._index[shape.label]]
        if not is_thing:
            return shape.label
        return (shape.label, place) if shape.group_id is None else (shape.label, "group", shape.group_id)

    def _claim(self, label: str) -> tuple[int, bool] | None:
        """A label's class, no crowd; None for void."""
        if label in self._ignore:
            return None
        if label not in self._index:
            raise InputError(
                f"the label {label!r} is no class; there are {listing(self._index)}. Correct it, add it to the classes, "
                "or name it after --ignore."
            )
        return self._index[label], False


def labelme_files(folder: Path) -> list[Path]:
    """The JSON files of a folder and its subfolders, by name."""
    found = find_files(checked_folder(folder, "labelme JSON files"), {".json"})
    if not found.paths:
        raise InputError(
            f"the folder {folder} holds no JSON file (left out: {found.left_out or 'nothing'}); name the one with labelme's."
        )
    return found.paths


def read_labelme(path: Path) -> LabelmeFile:
    """Read one file."""
    return read_json_as(LabelmeFile, path, WHAT)


def classes_of_labels(
    folder: Path, *, classes: Path | None, things: Sequence[str], ignore: Sequence[str], background: str | None
) -> ClassTable:
    """The classes: those of a JSON list or, without one, things as given, then every other label in the folder as stuff, by name,
    and the background.
    """
    if bool(classes) == bool(things):
        raise InputError(
            "say which labels are things: --things LABEL ..., or --classes JSON with a list of the classes; not both."
        )
    if classes:
        return ClassTable.from_categories(read_categories(classes))
    labels = {shape.label for path in labelme_files(folder) for shape in read_labelme(path).shapes}
    unseen = [name for name in (*things, *ignore) if name not in labels]
    if unseen:
        raise InputError(
            f"no shape in {folder} is labelled {listing(unseen)}; the labels are {listing(sorted(labels))}. Correct the name, "
            "or give the classes of all splits with --classes."
        )
    stuff = sorted(labels - {*things, *ignore})
    if background and background not in stuff:
        stuff.append(background)
    names = [(name, 1) for name in things] + [(name, 0) for name in stuff]
    return ClassTable.from_categories([{"id": n, "name": name, "isthing": kind} for n, (name, kind) in enumerate(names, 1)])


def _file_name(content: LabelmeFile) -> str:
    """The picture's own name: its folder is where labelme ran, on whichever system, and not where the pictures are now."""
    return PureWindowsPath(content.imagePath).name
