"""Truth as other tools write it: what the converters are given in tests. H x W pixels."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unipan.classes import ClassTable
from unipan.types import PanopticMap, Sample, Segment

Mask = NDArray[np.bool_]


def mask_of(panoptic: PanopticMap, segment: Segment) -> Mask:
    return panoptic.ids.numpy() == segment.id


def content_of(panoptic: PanopticMap) -> set[tuple[str, bool, bytes]]:
    """What a map says, whatever its ids: each segment's class, whether it is a crowd, its pixels."""
    return {(s.name, s.is_crowd, mask_of(panoptic, s).tobytes()) for s in panoptic.segments}


def runs(mask: Mask) -> Iterator[tuple[int, int, int]]:
    """y, x1, x2 of each horizontal run."""
    for y, row in enumerate(mask.tolist()):
        x = 0
        for inside, pixels in groupby(row):
            length = len(list(pixels))
            if inside:
                yield y, x, x + length
            x += length


def strips(mask: Mask) -> list[list[float]]:
    """A mask as COCO polygons: a rectangle for each run."""
    return [[x1, y, x2, y, x2, y + 1, x1, y + 1] for y, x1, x2 in runs(mask)]


def plain_rle(mask: Mask) -> dict[str, Any]:
    """COCO's uncompressed run lengths."""
    column_major = mask.T.ravel().tolist()
    counts = [len(list(pixels)) for _, pixels in groupby(column_major)]
    return {"counts": ([0] if column_major[0] else []) + counts, "size": list(mask.shape)}


def save_images(folder: Path, samples: list[Sample]) -> Path:
    folder.mkdir(parents=True)
    for sample in samples:
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(folder / sample.file_name)
    return folder


def save_numbers(path: Path, numbers: NDArray[Any]) -> None:
    """A PNG of one number a pixel, with 16 bits where it needs them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbers.astype(np.uint16 if numbers.max() > 255 else np.uint8)).save(path)


def class_numbers(panoptic: PanopticMap, classes: ClassTable) -> NDArray[np.int32]:
    """(H, W) dataset ids, 255 where unlabelled."""
    numbers = np.full(panoptic.ids.shape, 255, dtype=np.int32)
    for segment in panoptic.segments:
        numbers[mask_of(panoptic, segment)] = classes[segment.class_index].dataset_id
    return numbers


def export_instances(folder: Path, samples: list[Sample], classes: ClassTable, *, rle: bool) -> Path:
    """instances.json of the things, semantic/STEM.png and stuff.json."""
    images, annotations = [], []
    for number, sample in enumerate(samples, 1):
        height, width = sample.truth.ids.shape
        images.append({"id": number, "file_name": sample.file_name, "height": height, "width": width})
        for segment in sample.truth.segments:
            if segment.is_thing:
                mask = mask_of(sample.truth, segment)
                entry = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": classes[segment.class_index].dataset_id,
                    "segmentation": plain_rle(mask) if rle else strips(mask),
                    "iscrowd": int(segment.is_crowd),
                }
                annotations.append(entry)
        save_numbers(folder / "semantic" / f"{Path(sample.file_name).stem}.png", class_numbers(sample.truth, classes))
    categories = [entry for entry in classes.to_categories() if entry.pop("isthing")]
    stuff = [entry for entry in classes.to_categories() if not entry["isthing"]]
    (folder / "stuff.json").write_text(json.dumps(stuff))
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def export_pairs(folder: Path, samples: list[Sample], classes: ClassTable) -> None:
    """semantic/STEM.png, instances/STEM.png and classes.json."""
    for sample in samples:
        instances = np.zeros(sample.truth.ids.shape, dtype=np.int32)
        for number, segment in enumerate(sample.truth.segments, 1):
            if segment.is_thing and not segment.is_crowd:
                instances[mask_of(sample.truth, segment)] = number * 300
        stem = Path(sample.file_name).stem
        save_numbers(folder / "semantic" / f"{stem}.png", class_numbers(sample.truth, classes))
        save_numbers(folder / "instances" / f"{stem}.png", instances)
    (folder / "classes.json").write_text(json.dumps(classes.to_categories()))


def labelme_json(sample_size: tuple[int, int], file_name: str, shapes: list[dict[str, Any]]) -> str:
    """What labelme writes, with shapes in their short form."""
    full = [{"shape_type": "polygon", "group_id": None, "flags": {}} | shape for shape in shapes]
    height, width = sample_size
    content = {"version": "5.4.1", "flags": {}, "shapes": full, "imagePath": f"..\\images\\{file_name}", "imageData": None}
    return json.dumps(content | {"imageHeight": height, "imageWidth": width})


def export_labelme(folder: Path, samples: list[Sample]) -> None:
    """STEM.json for each image, its segments as rectangles of a pixel's height, things grouped."""
    folder.mkdir(parents=True)
    for sample in samples:
        shapes = [
            {
                "label": s.name,
                "points": [[x1, y], [x2, y + 1]],
                "shape_type": "rectangle",
                "group_id": s.id if s.is_thing else None,
            }
            for s in sample.truth.segments
            for y, x1, x2 in runs(mask_of(sample.truth, s))
        ]
        text = labelme_json((sample.truth.ids.shape[0], sample.truth.ids.shape[1]), sample.file_name, shapes)
        (folder / f"{Path(sample.file_name).stem}.json").write_text(text)
