"""Write panoptic maps, predicted or true, in the COCO panoptic format."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from unipan.classes import ClassTable
from unipan.data.coco_json import stem_below
from unipan.data.id_maps import write_id_map
from unipan.data.image_ids import shown, unfit
from unipan.errors import InputError, path_of
from unipan.files import TEMPORARY, make_folder, write_json
from unipan.types import PanopticMap


class Entry(NamedTuple):
    """One image to write."""

    image_id: int | str
    file_name: str
    """The image's, below the images folder; the PNG gets the same subfolder and stem (`png_of`)."""
    panoptic: PanopticMap


def annotation_of(
    panoptic: PanopticMap, classes: ClassTable, *, image_id: int | str, file_name: str, scores: bool
) -> dict[str, Any]:
    """The `annotations` entry of one image. file_name: the PNG's. scores: add each segment's score, as predictions have it."""
    segments = []
    for segment in panoptic.segments:
        x1, y1, x2, y2 = segment.box
        info = {
            "id": segment.id,
            "category_id": classes[segment.class_index].dataset_id,
            "area": segment.area,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": int(segment.is_crowd),
        }
        segments.append(info | {"score": segment.score} if scores else info)
    return {"image_id": image_id, "file_name": file_name, "segments_info": segments}


def png_of(file_name: str) -> str:
    """Where an image's segments are drawn, below the PNG folder."""
    return stem_below(file_name) + ".png"


def check_name(file_name: str) -> None:
    """Raises: InputError where no PNG can be named after the image."""
    fault = unfit(file_name, f"..png{TEMPORARY}")
    if fault:
        raise InputError(f"nothing can be named after the image {shown(file_name)}: {fault}; rename the file.")


def write_entry(
    folder: Path, entry: Entry, classes: ClassTable, *, scores: bool, png: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write folder/NAME.png for an image NAME.jpg, in its subfolder if it has one; its entries in `images` and `annotations`.

    png: the PNG's name below the folder, where it is another.

    Raises: InputError where no file can be named after the image, or it can't be written.
    """
    check_name(entry.file_name)
    png = png or png_of(entry.file_name)
    path = folder / png
    make_folder(path.parent)
    write_id_map(path, entry.panoptic.ids)
    height, width = entry.panoptic.ids.shape
    image = {"id": entry.image_id, "file_name": entry.file_name, "height": height, "width": width}
    return image, annotation_of(entry.panoptic, classes, image_id=entry.image_id, file_name=png, scores=scores)


def write_panoptic(
    folder: str | Path, entries: Iterable[Entry], classes: ClassTable, *, json_name: str, png_folder: str, scores: bool
) -> Path:
    """Write folder/png_folder/NAME.png for each entry NAME.jpg as it comes and, when all are there, folder/json_name.

    An image in a subfolder, city/NAME.jpg, has its PNG in the same one. Returns the JSON's path.
    """
    folder = path_of("folder", folder)
    make_folder(folder / png_folder)
    images, annotations, taken = [], [], dict[str, str]()
    for entry in entries:
        png = png_of(entry.file_name)
        if png in taken:
            raise InputError(f"{taken[png]} and {entry.file_name} would both become {png}; rename one, or write them apart.")
        taken[png] = entry.file_name
        image, annotation = write_entry(folder / png_folder, entry, classes, scores=scores)
        images.append(image)
        annotations.append(annotation)
    content = {"images": images, "annotations": annotations, "categories": classes.to_categories()}
    write_json(folder / json_name, content, indent=None)
    return folder / json_name
