"""Data sets in the COCO panoptic format. H x W pixels, n segments of one image."""

from array import array
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from unipan.choices import Merge
from unipan.classes import ClassTable
from unipan.data.coco_json import PanopticJson, check_consistency, checked_map, listing, read_json_as, refuse_instances
from unipan.data.id_maps import read_id_map
from unipan.data.image_paths import found_images
from unipan.errors import InputError
from unipan.ops.images import read_image
from unipan.ops.segments import Label, joined_stuff
from unipan.types import PanopticMap, Sample


class _Index(NamedTuple):
    """A JSON's content in flat arrays (6 bytes a segment): image i owns the segments starts[i] to starts[i + 1]."""

    image_ids: list[int | str]
    file_names: list[str]
    png_names: list[str]
    starts: array
    segment_ids: array
    class_indices: array
    crowds: array


class CocoPanoptic:
    """Images and truth in the COCO panoptic format, in the order of the JSON's `images`; nothing but the index stays in memory.

    Images without an annotation have no truth: they are left out, and `left_out` counts them.
    With merge="supercategory" the classes of one super-category become one, things and stuff apart, and an image's stuff segments
    of one class one segment, which bears the first one's id.
    """

    def __init__(self, *, json_path: Path, images_dir: Path, png_dir: Path, merge: Merge) -> None:
        for folder, content in ((images_dir, "images"), (png_dir, "panoptic PNG files")):
            if not folder.is_dir():
                raise InputError(f"there is no folder {folder}; expected the {content} that {json_path.name} names in it.")
        content = read_json_as(PanopticJson, json_path)
        classes = ClassTable.from_categories(content.categories)
        check_consistency(content, classes, json_path)
        self.left_out: int = len(content.images) - len(content.annotations)
        self._index = _compact(content, classes, images_dir, json_path)
        self.json_path, self._images_dir, self._png_dir, self._merge = json_path, images_dir, png_dir, merge
        self._class_of = tuple(range(len(classes)))
        self.own_classes: int = len(classes)
        if merge == "supercategory":
            classes, self._class_of = classes.merged_by_supercategory()
        self.classes: ClassTable = classes

    def __len__(self) -> int:
        return len(self._index.image_ids)

    def __getitem__(self, index: int, /) -> Sample:
        position = range(len(self))[index]
        file_name, png_name = self._index.file_names[position], self._index.png_names[position]
        image, ids = read_image(self._images_dir / file_name), read_id_map(self._png_dir / png_name)
        if image.shape[-2:] != ids.shape:
            raise InputError(
                f"{file_name} is {size_text(image)} but {png_name} is {size_text(ids)} "
                "(width x height); an image and its panoptic PNG must be of one size."
            )
        return Sample(
            image=image,
            truth=self._truth(ids, position),
            image_id=self._index.image_ids[position],
            file_name=file_name,
        )

    def image_path(self, index: int) -> Path:
        """Where an image lies."""
        return self._images_dir / self._index.file_names[index]

    def _truth(self, ids: Tensor, position: int) -> PanopticMap:
        """What the PNG's ids (H, W) stand for."""
        png = self._png_dir / self._index.png_names[position]
        panoptic = checked_map(ids, self._labels(position), self.classes, png=png, json_path=self.json_path)
        return joined_stuff(panoptic, self.classes) if self._merge == "supercategory" else panoptic

    def _labels(self, position: int) -> list[Label]:
        """The image's n segments as the JSON lists them, in this data set's classes."""
        own = slice(self._index.starts[position], self._index.starts[position + 1])
        columns = zip(self._index.segment_ids[own], self._index.class_indices[own], self._index.crowds[own], strict=True)
        return [Label(id, self._class_of[class_index], bool(crowd)) for id, class_index, crowd in columns]


def coco_split(root: Path | str, split: str, *, merge: Merge) -> CocoPanoptic:
    """The data set below `root`: annotations/panoptic_SPLIT.json, annotations/panoptic_SPLIT/*.png and SPLIT/*.jpg."""
    root = Path(root)
    json_path = root / "annotations" / f"panoptic_{split}.json"
    if not json_path.is_file():
        raise InputError(
            f"there is no {json_path}. Expected data.root to be a folder with annotations/panoptic_{split}.json, "
            f"annotations/panoptic_{split}/ (PNG files) and {split}/ (images); {_splits_below(root)}."
        )
    return CocoPanoptic(json_path=json_path, images_dir=root / split, png_dir=json_path.with_suffix(""), merge=merge)


def _splits_below(root: Path) -> str:
    found = sorted(path.stem.removeprefix("panoptic_") for path in (root / "annotations").glob("panoptic_*.json"))
    return f"splits found: {listing(found)}" if found else f"no split was found below {root.absolute()}"


def json_set(json_path: Path, images_dir: Path, png_dir: Path | None, *, merge: Merge) -> CocoPanoptic:
    """The data set of a JSON anywhere; png_dir: None for the folder beside it that bears its name."""
    if not json_path.is_file():
        raise InputError(f"there is no file {json_path.absolute()}; expected a JSON in the COCO panoptic format.")
    if png_dir is None and not json_path.with_suffix("").is_dir():
        refuse_instances(json_path)
        raise InputError(
            f"{json_path} has no folder {json_path.with_suffix('').name} beside it with its PNGs; name their folder "
            "(--data.train-masks, --data.val-masks)."
        )
    return CocoPanoptic(json_path=json_path, images_dir=images_dir, png_dir=png_dir or json_path.with_suffix(""), merge=merge)


def _compact(content: PanopticJson, classes: ClassTable, images_dir: Path, json_path: Path) -> _Index:
    """Join annotations to images by image_id (their orders differ) and flatten them; images without one are left out."""
    by_image = {annotation.image_id: annotation for annotation in content.annotations}
    images = [image for image in content.images if image.id in by_image]
    if not images:
        raise InputError(f"{json_path} has no image with an annotation; there is nothing to learn from or to compare with.")
    annotations = [by_image[image.id] for image in images]
    segments = [segment for annotation in annotations for segment in annotation.segments_info]
    return _Index(
        image_ids=[image.id for image in images],
        file_names=found_images(images_dir, [image.file_name for image in images], json_path),
        png_names=[annotation.file_name for annotation in annotations],
        starts=array("q", accumulate((len(annotation.segments_info) for annotation in annotations), initial=0)),
        segment_ids=array("i", (segment.id for segment in segments)),
        class_indices=array("B", (classes.index_of_dataset_id[segment.category_id] for segment in segments)),
        crowds=array("B", (bool(segment.iscrowd) for segment in segments)),
    )


def size_text(pixels: Tensor) -> str:
    """Width x height, for messages."""
    return f"{pixels.shape[-1]}x{pixels.shape[-2]}"
