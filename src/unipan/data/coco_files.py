"""COCO panoptic files as evaluation reads them: a JSON with its PNG folder, and no images."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unipan.classes import ClassTable
from unipan.data.coco_json import (
    AnnotationEntry,
    ImageEntry,
    PanopticJson,
    SegmentEntry,
    check_consistency,
    checked_map,
    read_json_as,
)
from unipan.data.id_maps import read_id_map
from unipan.errors import InputError
from unipan.ops.segments import Label, joined_stuff
from unipan.types import PanopticMap

ImageId = int | str


@dataclass(frozen=True)
class _Content:
    """What of the JSON is read; predictions may lack the last two."""

    annotations: list[AnnotationEntry]
    images: list[ImageEntry] | None = None
    categories: list[dict[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class PanopticFile:
    """A COCO panoptic JSON with its PNG folder."""

    path: Path
    folder: Path
    classes: ClassTable
    """What the indices of `map` stand for."""
    class_of_category: dict[int, int]
    """The JSON's category ids -> class index."""
    annotations: dict[ImageId, AnnotationEntry]
    image_names: dict[ImageId, str]
    """Image file names, where the JSON lists images."""
    joins_stuff: bool = False
    """Whether `map` makes all stuff of one class one segment."""

    def map(self, image_id: ImageId) -> PanopticMap:
        """Read one image's segments. Ids that PNG and JSON don't share, and categories without a class, are an InputError."""
        png = self.png(image_id)
        panoptic = checked_map(read_id_map(png), self.labels(image_id), self.classes, png=png, json_path=self.path)
        return joined_stuff(panoptic, self.classes) if self.joins_stuff else panoptic

    def png(self, image_id: ImageId) -> Path:
        """Where an image's segments are drawn."""
        return self.folder / self.annotations[image_id].file_name

    def labels(self, image_id: ImageId) -> list[Label]:
        """What the JSON says of an image's segments. A category without a class is an InputError."""
        annotation = self.annotations[image_id]
        return [self._label(entry, annotation.file_name) for entry in annotation.segments_info]

    def with_classes_of(self, classes: ClassTable) -> "PanopticFile":
        """The same file in the words of another class table; categories are found there by name."""
        index_of_name = {info.name: index for index, info in enumerate(classes.classes)}
        translated = {
            category: index_of_name[self.classes[index].name]
            for category, index in self.class_of_category.items()
            if self.classes[index].name in index_of_name
        }
        return replace(self, classes=classes, class_of_category=translated)

    def merged(self) -> "PanopticFile":
        """The same file with classes of one super-category merged (things and stuff apart), each class's stuff as one segment."""
        classes, merged_index = self.classes.merged_by_supercategory()
        merged = {category: merged_index[index] for category, index in self.class_of_category.items()}
        return replace(self, classes=classes, class_of_category=merged, joins_stuff=True)

    def _label(self, entry: SegmentEntry, png: str) -> Label:
        if entry.category_id not in self.class_of_category:
            raise InputError(
                f"{self.path}: segment {entry.id} of {png} has the category {entry.category_id}, whose name is not "
                f"among the truth's categories; both files must use the same ones."
            )
        return Label(entry.id, self.class_of_category[entry.category_id], bool(entry.iscrowd))


def read_panoptic_file(path: Path, folder: Path | None = None, classes: ClassTable | None = None) -> PanopticFile:
    """Read a JSON in the COCO panoptic format; the PNGs are read later, one by one.

    folder:  where the PNGs are; without it, the folder beside the JSON that has its name without `.json`.
    classes: what to take for `categories` where the JSON has none, as predictions may; without it that is an InputError.
    """
    folder = folder or path.with_suffix("")
    content = read_json_as(_Content, path)
    if not folder.is_dir():
        raise InputError(f"{folder}, the folder with the PNGs of {path}, is not there; name the right one.")
    if content.categories is not None:
        try:
            classes = ClassTable.from_categories(content.categories)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    if classes is None:
        raise InputError(f"{path} has no categories; the truth must list them in the COCO panoptic format.")
    annotations = {annotation.image_id: annotation for annotation in content.annotations}
    # Neither side need list its images here, so those that the annotations name stand for them.
    named = [ImageEntry(image_id, annotation.file_name) for image_id, annotation in annotations.items()]
    check_consistency(PanopticJson(named, content.annotations, []), classes, path)
    return PanopticFile(
        path=path,
        folder=folder,
        classes=classes,
        class_of_category=classes.index_of_dataset_id,
        annotations=annotations,
        image_names={entry.id: entry.file_name for entry in content.images or []},
    )
