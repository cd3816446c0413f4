"""Data sets in the COCO panoptic format."""

from pathlib import Path
from typing import Any

from torch import Tensor

from unipan.choices import OWN_DATA, Merge
from unipan.classes import ClassTable
from unipan.data.coco_files import panoptic_file
from unipan.data.coco_json import PanopticJson, check_consistency, listing, read_json_as, refuse_instances
from unipan.data.image_paths import found_images
from unipan.errors import InputError, about
from unipan.files import file_facts
from unipan.ops.images import read_image
from unipan.types import PanopticMap, Sample


class CocoPanoptic:
    """Images and truth in the COCO panoptic format, in the order of the JSON's `images`; in memory is what the JSON says alone.

    Images without an annotation have no truth: they are left out, and `left_out` counts them.
    With merge="supercategory" the classes of one super-category become one, things and stuff apart, and an image's stuff segments
    of one class one segment, which bears the first one's id.
    """

    def __init__(self, *, json_path: Path, images_dir: Path, png_dir: Path, merge: Merge) -> None:
        for folder, content in ((images_dir, "images"), (png_dir, "panoptic PNG files")):
            if not folder.is_dir():
                raise InputError(f"there is no folder {folder}; expected the {content} that {json_path.name} names in it.")
        content = read_json_as(PanopticJson, json_path)
        with about(json_path):
            classes = ClassTable.from_categories(content.categories)
        check_consistency(content, classes, json_path)
        annotation_of = {annotation.image_id: annotation for annotation in content.annotations}  # their orders differ
        images = [image for image in content.images if image.id in annotation_of]
        if not images:
            raise InputError(f"{json_path} has no image with an annotation; there is nothing to learn from or to compare with.")
        names = found_images(images_dir, [image.file_name for image in images], json_path)
        file = panoptic_file(json_path, png_dir, classes, [annotation_of[image.id] for image in images], names)
        self._file = file.merged() if merge == "supercategory" else file
        self._images_dir = images_dir
        self.json_path = json_path
        self.left_out: int = len(content.images) - len(images)
        self.own_classes: int = len(classes)
        self.classes: ClassTable = self._file.classes

    def __len__(self) -> int:
        return len(self._file.image_ids)

    def __getitem__(self, index: int, /) -> Sample:
        position = range(len(self))[index]
        file_name, png_name = self._file.image_names[position], self._file.png_names[position]
        image, truth = read_image(self._images_dir / file_name), self.truth_of(position)
        if image.shape[-2:] != truth.ids.shape:
            raise InputError(
                f"{file_name} is {size_text(image)} but {png_name} is {size_text(truth.ids)} "
                "(width x height); an image and its panoptic PNG must be of one size."
            )
        return Sample(image=image, truth=truth, image_id=self.id_of(position), file_name=file_name)

    def id_of(self, index: int, /) -> int | str:
        """What the JSON calls an image."""
        return self._file.image_ids[range(len(self))[index]]

    def truth_of(self, index: int, /) -> PanopticMap:
        """What JSON and PNG say of an image."""
        return self._file.map(range(len(self))[index])

    def classes_of(self, index: int, /) -> set[int]:
        """The classes of an image's segments, but for crowds."""
        return {label.class_index for label in self._file.labels(range(len(self))[index]) if not label.is_crowd}

    def truth_facts(self) -> dict[str, Any]:
        """The JSON by name and content; its PNGs are not read for it."""
        return file_facts(self.json_path)

    def image_path(self, index: int) -> Path:
        """Where an image lies."""
        return self._images_dir / self._file.image_names[index]

    def png_path(self, index: int) -> Path:
        """Where its segments are drawn."""
        return self._file.png(index)


def coco_split(root: Path | str, split: str, *, merge: Merge) -> CocoPanoptic:
    """The data set below `root`: annotations/panoptic_SPLIT.json, annotations/panoptic_SPLIT/*.png and SPLIT/*.jpg."""
    root = Path(root)
    json_path = root / "annotations" / f"panoptic_{split}.json"
    if not json_path.is_file():
        raise InputError(
            f"there is no {json_path}. Expected data.root to be a folder with annotations/panoptic_{split}.json, "
            f"annotations/panoptic_{split}/ (PNG files) and {split}/ (images); {_splits_below(root)}. "
            f"JSONs that lie elsewhere are named by {OWN_DATA}."
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


def size_text(pixels: Tensor) -> str:
    """Width x height, for messages."""
    return f"{pixels.shape[-1]}x{pixels.shape[-2]}"
