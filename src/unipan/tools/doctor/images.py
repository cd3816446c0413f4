"""Check one image and its PNG, and collect what is wrong with them. H x W pixels."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from unipan.classes import VOID_ID, ClassInfo
from unipan.data.coco_json import listing
from unipan.data.nearby import nearby
from unipan.data.statistics import ImageStatistics
from unipan.errors import InputError
from unipan.ops.components import part_areas
from unipan.ops.frames import further_frames
from unipan.ops.image_range import dim_range
from unipan.ops.images import is_file, read_image
from unipan.ops.segments import index_of_ids, measure, runs_of
from unipan.tools.doctor.entries import LabelledImage
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault
from unipan.tools.doctor.id_forms import read_ids
from unipan.tools.doctor.limits import MANY_PARTS, MIN_THING_PX, MOST_VOID
from unipan.tools.doctor.relabel import renumbered
from unipan.tools.doctor.segments import Categories, ListedSegment
from unipan.types import Size


@dataclass
class ImageCheck:
    """What one image showed; small, whatever the image's size."""

    file_name: str
    faults: list[Fault] = field(default_factory=list)
    usable: bool = True
    """Whether image and PNG can be trained on, its segments apart."""
    digest: bytes = b""
    """Of the image's pixels; empty where it can't be read."""
    pixels: Counter[int] = field(default_factory=Counter)
    """Of each category id."""
    void: int = 0
    """Pixels of no known category."""
    segments: Counter[int] = field(default_factory=Counter)
    """Of each category id."""
    crowds: Counter[int] = field(default_factory=Counter)
    """Those of these segments that are crowds."""
    things_in_parts: int = 0
    statistics: ImageStatistics | None = None
    """None where the labels can't be read."""

    def complain(self, kind: Kind, where: str, *, usable: bool = True) -> None:
        self.faults.append(Fault(kind, where))
        self.usable &= usable


def check_image(
    image: LabelledImage, categories: Categories, *, images_dir: Path, paths: Sequence[str], png_dir: Path
) -> ImageCheck:
    """Every fault of one image. paths: all files below the folder that its name may mean."""
    check = ImageCheck(image.file_name)
    if len(paths) > 1:
        check.complain(Kind.IMAGE_AMBIGUOUS, f"{image.file_name} could be {listing(sorted(paths))}", usable=False)
        image_size = None
    else:
        image_size = check_image_file(check, images_dir, paths[0] if paths else image.file_name)
    ids, fault = read_ids(image, png_dir)
    if fault:
        check.faults.append(fault)
    if ids is None:
        check.usable = False
        return check
    check_sizes(check, image, image_size, (ids.shape[0], ids.shape[1]))
    ids, segments = renumbered(ids, image.segments)
    check_ids(check, replace(image, segments=segments), ids, categories)
    return check


def check_image_file(check: ImageCheck, folder: Path, name: str) -> Size | None:
    """The size of the image as a person sees it, None where it can't be read."""
    path = folder / name
    if not is_file(path):
        there = nearby(folder, name)
        check.complain(Kind.IMAGE_MISSING, f"{path} ({there})" if there else str(path), usable=False)
        return None
    try:
        image = read_image(path)
    except InputError as error:
        check.complain(
            Kind.IMAGE_UNREADABLE, str(error).removeprefix("cannot read the image ").split(". Expected")[0], usable=False
        )
        return None
    if dim := dim_range(path):
        check.complain(Kind.NEARLY_BLACK, f"{check.file_name}: {dim}")
    if further := further_frames(path):
        check.complain(Kind.FURTHER_FRAMES, f"{check.file_name}: {further} more")
    size = (image.shape[1], image.shape[2])
    check.digest = hashlib.blake2b(image.numpy().tobytes() + repr(size).encode(), digest_size=16).digest()
    return size


def check_sizes(check: ImageCheck, image: LabelledImage, image_size: Size | None, png_size: Size) -> None:
    """Image, PNG and JSON must agree."""
    if image_size and image_size != png_size:
        where = f"{image.file_name} is {_times(image_size)}, {image.png_name} is {_times(png_size)}"
        check.complain(Kind.SIZE_IMAGE_PNG, where, usable=False)
    if image.size and image.size != png_size:
        where = f"{image.file_name}: {_times(image.size)} in the JSON, {image.png_name} is {_times(png_size)}"
        check.complain(Kind.SIZE_JSON, where)


def check_ids(check: ImageCheck, image: LabelledImage, ids: Tensor, categories: Categories) -> None:
    """PNG against JSON, and what the segments are like."""
    runs = runs_of(ids)
    known, found = {segment.id for segment in image.segments}, set(runs.ids.tolist()) - {VOID_ID}
    if known and not known & found and not any(image.refused.explains(id) for id in found):
        where = f"{image.png_name} has {listing(sorted(found)) or 'none'}, the JSON {listing(sorted(known))}"
        check.complain(Kind.NO_LISTED_ID, where, usable=False)
        return
    unlisted = [id for id in sorted(found - known) if not image.refused.explains(id)]
    if unlisted:
        more = f" and {len(unlisted) - 3} more" if len(unlisted) > 3 else ""
        check.complain(Kind.ID_ONLY_IN_PNG, f"{image.png_name}: {', '.join(map(str, unlisted[:3]))}{more}")
    areas, boxes = measure(index_of_ids(ids, [segment.id for segment in image.segments]), len(image.segments))
    parts = part_areas(runs, ids.shape[1], corners=True)
    sides, stuff_areas, ratios = [], [], []
    for segment, area, box in zip(image.segments, areas.tolist(), boxes.tolist(), strict=True):
        if area == 0:
            check.complain(Kind.ID_ONLY_IN_JSON, f"{image.png_name}: {segment.id}")
            continue
        _check_numbers(check, image, segment, area, box)
        category = categories.get(segment.category_id)
        if category is None:
            continue
        _check_segment(check, image, segment, category, area, len(parts[segment.id]))
        if not category.is_thing:
            stuff_areas.append(area)
        elif not segment.is_crowd:
            sides.append(float((box[2] - box[0]) * (box[3] - box[1])) ** 0.5)
            ratios.append((box[3] - box[1]) / (box[2] - box[0]))
    check.statistics = ImageStatistics((ids.shape[0], ids.shape[1]), tuple(sides), tuple(stuff_areas), tuple(ratios))
    check.void = ids.numel() - sum(check.pixels.values())
    sound = not image.refused and all(segment.category_id in categories for segment in image.segments)
    if sound and not image.segments:
        check.complain(Kind.EMPTY_IMAGE, image.file_name)
    elif sound and check.void > MOST_VOID * ids.numel():
        check.complain(Kind.MOSTLY_VOID, f"{image.file_name} ({check.void / ids.numel():.1%})")


def _check_numbers(check: ImageCheck, image: LabelledImage, segment: ListedSegment, area: int, box: list[int]) -> None:
    """The JSON's area and box against the counted ones."""
    if segment.area is not None and segment.area != area:
        check.complain(Kind.WRONG_AREA, f"{image.png_name}: segment {segment.id} has {area} px, the JSON says {segment.area:g}")
    x1, y1, x2, y2 = box
    counted = (x1, y1, x2 - x1, y2 - y1)
    if segment.box is not None and max(abs(a - b) for a, b in zip(segment.box, counted, strict=True)) > 1:
        stated = " ".join(f"{side:g}" for side in segment.box)
        check.complain(
            Kind.WRONG_BOX, f"{image.png_name}: segment {segment.id} has {' '.join(map(str, counted))}, the JSON says {stated}"
        )


def _check_segment(
    check: ImageCheck, image: LabelledImage, segment: ListedSegment, category: ClassInfo, area: int, parts: int
) -> None:
    """Count a segment, and say what is odd about it."""
    check.pixels[segment.category_id] += area
    check.segments[segment.category_id] += 1
    where = f"{image.png_name}: {category.name} {segment.id}"
    if area < MIN_THING_PX:
        check.complain(Kind.TINY_SEGMENT, f"{where} ({area} px)")
    if segment.is_crowd:
        check.crowds[segment.category_id] += 1
    elif category.is_thing:
        check.things_in_parts += parts > 1
        if parts > MANY_PARTS:
            check.complain(Kind.SCATTERED_THING, f"{where} ({parts} parts)")


def _times(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
