"""Write panoptic maps, predicted or true, in the COCO panoptic format."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from unipan.classes import ClassTable
from unipan.data.coco_json import leads_out, stem_below
from unipan.data.id_maps import write_id_map
from unipan.errors import InputError
from unipan.types import PanopticMap


class Entry(NamedTuple):
    """One image to write."""

    image_id: int | str
    file_name: str
    """The image's, below the images folder; the PNG gets the same place and stem (`png_of`)."""
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


def write_panoptic(
    folder: Path, entries: Iterable[Entry], classes: ClassTable, *, json_name: str, png_folder: str, scores: bool
) -> Path:
    """Write folder/png_folder/NAME.png for each entry NAME.jpg as it comes and, when all are there, folder/json_name.

    A picture in a subfolder, city/NAME.jpg, has its PNG in the same one. Returns the JSON's path.
    """
    with _writing(folder / png_folder):
        (folder / png_folder).mkdir(parents=True, exist_ok=True)
    images, annotations, taken = [], [], dict[str, str]()
    for image_id, file_name, panoptic in entries:
        assert not leads_out(file_name), file_name
        png_name = png_of(file_name)
        if png_name in taken:
            raise InputError(f"{taken[png_name]} and {file_name} would both become {png_name}; rename one or write them apart.")
        taken[png_name] = file_name
        path = folder / png_folder / png_name
        with _writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_id_map(path, panoptic.ids)
        height, width = panoptic.ids.shape
        images.append({"id": image_id, "file_name": file_name, "height": height, "width": width})
        annotations.append(annotation_of(panoptic, classes, image_id=image_id, file_name=png_name, scores=scores))
    content = {"images": images, "annotations": annotations, "categories": classes.to_categories()}
    _write_json(folder / json_name, content)
    return folder / json_name


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the whole file or leave the former one: a half-written JSON would look like damage."""
    part = path.with_name(path.name + ".part")
    try:
        with _writing(path):
            part.write_text(json.dumps(content))
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the system refuses into an InputError that names the path."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}. Check that the folder exists and that the disk has room.") from error
