"""A COCO panoptic JSON with its PNG folder: what training, evaluation and scoring read segments from. No images."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unipan.classes import VOID_ID, ClassTable
from unipan.data.coco_json import AnnotationEntry, ImageEntry, PanopticJson, check_consistency, listing, read_json_as
from unipan.data.id_maps import SWAPPED, read_id_map, swapped_ids
from unipan.data.nearby import nearby, spelled
from unipan.errors import InputError, about
from unipan.ops.images import is_file
from unipan.ops.segments import Label, joined_stuff, panoptic_map, runs_of
from unipan.types import PanopticMap

if TYPE_CHECKING:
    from torch import Tensor

ImageId = int | str


@dataclass(frozen=True)
class _Content:
    """What of the JSON is read; predictions may lack the last two."""

    annotations: list[AnnotationEntry]
    images: list[ImageEntry] | None = None
    categories: list[dict[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class PanopticFile:
    """A JSON's content by the positions of its images, in flat arrays: 7 bytes a segment, which loader processes don't copy.

    Image i owns the segments starts[i] to starts[i + 1].
    """

    path: Path
    folder: Path
    own_classes: ClassTable
    """What `class_indices` stand for: the JSON's categories."""
    classes: ClassTable
    """What the indices of `map` and `labels` stand for."""
    class_of: Sequence[int | None]
    """For each of `own_classes` which of `classes` it is; None where it is none of them."""
    image_ids: Sequence[ImageId]
    image_names: Sequence[str]
    """Image file names; empty where the JSON lists no such image."""
    png_names: Sequence[str]
    starts: array
    segment_ids: array
    class_indices: array
    crowds: array
    joins_stuff: bool = False
    """Whether `map` makes all stuff of one class one segment."""
    has_scores: bool = False
    """Whether any segment has a score, as predictions may and a truth has not."""

    def map(self, position: int) -> PanopticMap:
        """Read one image's segments. Ids that PNG and JSON don't share, and categories without a class, are an InputError."""
        png = self.png(position)
        if not is_file(png) and (there := nearby(self.folder, self.png_names[position])):
            raise InputError(f"{self.path} names {self.png_names[position]}, which is not in {self.folder}, but {there}.")
        panoptic = agreeing_map(read_id_map(png), self.labels(position), self.classes, f"{png} and {self.path}")
        return joined_stuff(panoptic, self.classes) if self.joins_stuff else panoptic

    def png(self, position: int) -> Path:
        """Where an image's segments are drawn."""
        return self.folder / spelled(self.folder, self.png_names[position])

    def labels(self, position: int) -> list[Label]:
        """What the JSON says of an image's segments. A category without a class is an InputError."""
        own = slice(self.starts[position], self.starts[position + 1])
        columns = zip(self.segment_ids[own], self.class_indices[own], self.crowds[own], strict=True)
        return [Label(id, self._class_of(own_class, id, position), bool(crowd)) for id, own_class, crowd in columns]

    def with_classes_of(self, classes: ClassTable) -> "PanopticFile":
        """The same file in the words of another class table; classes are found there by name."""
        index_of_name = {info.name: index for index, info in enumerate(classes.classes)}
        class_of = [None if index is None else index_of_name.get(self.classes[index].name) for index in self.class_of]
        return replace(self, classes=classes, class_of=class_of)

    def merged(self) -> "PanopticFile":
        """The same file with classes of one super-category merged (things and stuff apart), each class's stuff as one segment."""
        classes, merged_index = self.classes.merged_by_supercategory()
        class_of = [None if index is None else merged_index[index] for index in self.class_of]
        return replace(self, classes=classes, class_of=class_of, joins_stuff=True)

    def _class_of(self, own_class: int, segment_id: int, position: int) -> int:
        index = self.class_of[own_class]
        if index is None:
            raise InputError(
                f"{self.path}: segment {segment_id} of {self.png_names[position]} has the category "
                f"{self.own_classes[own_class].dataset_id}, whose name is not among the truth's categories; both files must use "
                "the same ones."
            )
        return index


def agreeing_map(ids: "Tensor", labels: Sequence[Label], classes: ClassTable, files: str) -> PanopticMap:
    """What the ids (H, W) of a PNG are by the labels of its JSON.

    Raises: InputError, about both `files`, for ids that one of them has alone.
    """
    found, listed = set(runs_of(ids).ids.tolist()) - {VOID_ID}, {label.id for label in labels}
    strange = ((found - listed, "the PNG", "the JSON"), (listed - found, "the JSON", "the PNG"))
    if found != listed and {swapped_ids(id) for id in found} == listed:
        raise InputError(f"{files} disagree: the PNG has {SWAPPED}. Swap them; unipan doctor --fix does that to a data set.")
    parts = [f"ids {listing(sorted(some))} are in {here} but not in {there}" for some, here, there in strange if some]
    if parts:
        raise InputError(f"{files} disagree: {'; '.join(parts)}. Write both from one map.")
    return panoptic_map(ids, labels, classes)


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
        with about(path):
            classes = ClassTable.from_categories(content.categories)
    if classes is None:
        raise InputError(f"{path} has no categories; the truth must list them in the COCO panoptic format.")
    # Neither side need list its images here, so those that the annotations name stand for them.
    named = {annotation.image_id: ImageEntry(annotation.image_id, annotation.file_name) for annotation in content.annotations}
    check_consistency(PanopticJson(list(named.values()), content.annotations, []), classes, path)
    names = _names_of(content.images or [], path)
    image_names = [names.get(annotation.image_id, "") for annotation in content.annotations]
    return panoptic_file(path, folder, classes, content.annotations, image_names)


def _names_of(images: Sequence[ImageEntry], path: Path) -> dict[int | str, str]:
    """Each image's name by its id. An entry that is there twice does no harm, unless the two are of different images."""
    names: dict[int | str, str] = {}
    unlike = [image.id for image in images if names.setdefault(image.id, image.file_name) != image.file_name]
    if unlike:
        raise InputError(f"{path}: images has several files of the id {listing(unlike)}. Give each image its own id.")
    return names


def panoptic_file(
    path: Path, folder: Path, classes: ClassTable, annotations: Sequence[AnnotationEntry], image_names: Sequence[str]
) -> PanopticFile:
    """Of consistent annotations (`check_consistency`), each with the name of its image."""
    segments = [segment for annotation in annotations for segment in annotation.segments_info]
    return PanopticFile(
        path=path,
        folder=folder,
        own_classes=classes,
        classes=classes,
        class_of=range(len(classes)),
        image_ids=[annotation.image_id for annotation in annotations],
        image_names=image_names,
        png_names=[annotation.file_name for annotation in annotations],
        starts=array("q", accumulate((len(annotation.segments_info) for annotation in annotations), initial=0)),
        segment_ids=array("i", (segment.id for segment in segments)),
        class_indices=array("H", (classes.index_of_dataset_id[segment.category_id] for segment in segments)),
        crowds=array("B", (bool(segment.iscrowd) for segment in segments)),
        has_scores=any(segment.score is not None for segment in segments),
    )
