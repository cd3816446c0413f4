"""Look at one image and its PNG, and collect what is wrong with them. H x W pixels."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from unipan.classes import VOID_ID, ClassInfo
from unipan.data.coco_json import listing
from unipan.data.image_paths import other_suffix
from unipan.data.statistics import ImageStatistics
from unipan.errors import InputError
from unipan.ops.components import parts_of
from unipan.ops.image_range import dim_range
from unipan.ops.images import is_file, read_image
from unipan.ops.segments import index_of_ids, measure, runs_of
from unipan.tools.doctor.entries import Picture
from unipan.tools.doctor.faults import MANY_PARTS, MIN_THING_PX, MOST_VOID, Kind
from unipan.tools.doctor.findings import Fault
from unipan.tools.doctor.id_forms import read_ids
from unipan.tools.doctor.relabel import renumbered
from unipan.tools.doctor.segments import Categories, Row
from unipan.types import Size


@dataclass
class Look:
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
    things_in_parts: int = 0
    crowds: int = 0
    statistics: ImageStatistics | None = None
    """None where the labels can't be read."""

    @property
    def things(self) -> int:
        """Crowds are none."""
        return len(self.statistics.thing_sides) if self.statistics else 0

    def complain(self, kind: Kind, where: str, *, usable: bool = True) -> None:
        self.faults.append(Fault(kind, where))
        self.usable &= usable


def look_at(picture: Picture, categories: Categories, *, images_dir: Path, places: Sequence[str], png_path: Path) -> Look:
    """Every fault of one image. places: all files below the folder that its name may mean."""
    look = Look(picture.file_name)
    if len(places) > 1:
        look.complain(Kind.IMAGE_AMBIGUOUS, f"{picture.file_name} could be {listing(sorted(places))}", usable=False)
        image_size = None
    else:
        image_size = look_at_image(look, images_dir / (places[0] if places else picture.file_name))
    ids, fault = read_ids(picture, png_path)
    if fault:
        look.faults.append(fault)
    if ids is None:
        look.usable = False
        return look
    check_sizes(look, picture, image_size, (ids.shape[0], ids.shape[1]))
    ids, rows = renumbered(ids, picture.rows)
    check_ids(look, replace(picture, rows=rows), ids, categories)
    return look


def look_at_image(look: Look, path: Path) -> Size | None:
    """The size of the image as a person sees it, None where it can't be read."""
    if not is_file(path):
        other = other_suffix(path)
        look.complain(Kind.IMAGE_MISSING, f"{path} ({other} is there)" if other else str(path), usable=False)
        return None
    try:
        image = read_image(path)
    except InputError as error:
        look.complain(
            Kind.IMAGE_UNREADABLE, str(error).removeprefix("cannot read the image ").split(". Expected")[0], usable=False
        )
        return None
    if dim := dim_range(path):
        look.complain(Kind.NEARLY_BLACK, f"{look.file_name}: {dim}")
    size = (image.shape[1], image.shape[2])
    look.digest = hashlib.blake2b(image.numpy().tobytes() + repr(size).encode(), digest_size=16).digest()
    return size


def check_sizes(look: Look, picture: Picture, image_size: Size | None, png_size: Size) -> None:
    """Image, PNG and JSON must agree."""
    if image_size and image_size != png_size:
        where = f"{picture.file_name} is {_times(image_size)}, {picture.png_name} is {_times(png_size)}"
        look.complain(Kind.SIZE_IMAGE_PNG, where, usable=False)
    if picture.size and picture.size != png_size:
        where = f"{picture.file_name}: {_times(picture.size)} in the JSON, {picture.png_name} is {_times(png_size)}"
        look.complain(Kind.SIZE_JSON, where)


def check_ids(look: Look, picture: Picture, ids: Tensor, categories: Categories) -> None:
    """PNG against JSON, and what the segments are like."""
    runs = runs_of(ids)
    known = {row.id for row in picture.rows} | {VOID_ID}
    unlisted = [id for id in sorted(set(runs.ids.tolist()) - known) if not picture.refused.explains(id)]
    if unlisted:
        more = f" and {len(unlisted) - 3} more" if len(unlisted) > 3 else ""
        look.complain(Kind.ID_ONLY_IN_PNG, f"{picture.png_name}: {', '.join(map(str, unlisted[:3]))}{more}")
    areas, boxes = measure(index_of_ids(ids, [row.id for row in picture.rows]), len(picture.rows))
    parts = parts_of(runs, ids.shape[1])
    sides, stuff_areas = [], []
    for row, area, box in zip(picture.rows, areas.tolist(), boxes.tolist(), strict=True):
        if area == 0:
            look.complain(Kind.ID_ONLY_IN_JSON, f"{picture.png_name}: {row.id}")
            continue
        _check_numbers(look, picture, row, area, box)
        category = categories.get(row.category_id)
        if category is None:
            continue
        _check_segment(look, picture, row, category, area, parts[row.id])
        if not category.is_thing:
            stuff_areas.append(area)
        elif not row.is_crowd:
            sides.append(float((box[2] - box[0]) * (box[3] - box[1])) ** 0.5)
    look.statistics = ImageStatistics((ids.shape[0], ids.shape[1]), tuple(sides), tuple(stuff_areas))
    look.void = ids.numel() - sum(look.pixels.values())
    sound = not picture.refused and all(row.category_id in categories for row in picture.rows)
    if sound and not picture.rows:
        look.complain(Kind.EMPTY_IMAGE, picture.file_name)
    elif sound and look.void > MOST_VOID * ids.numel():
        look.complain(Kind.MOSTLY_VOID, f"{picture.file_name} ({look.void / ids.numel():.1%})")


def _check_numbers(look: Look, picture: Picture, row: Row, area: int, box: list[int]) -> None:
    """The JSON's area and box against the counted ones."""
    if row.area is not None and row.area != area:
        look.complain(Kind.WRONG_AREA, f"{picture.png_name}: segment {row.id} has {area} px, the JSON says {row.area:g}")
    x1, y1, x2, y2 = box
    counted = (x1, y1, x2 - x1, y2 - y1)
    if row.box is not None and max(abs(a - b) for a, b in zip(row.box, counted, strict=True)) > 1:
        said = " ".join(f"{side:g}" for side in row.box)
        look.complain(
            Kind.WRONG_BOX, f"{picture.png_name}: segment {row.id} has {' '.join(map(str, counted))}, the JSON says {said}"
        )


def _check_segment(look: Look, picture: Picture, row: Row, category: ClassInfo, area: int, parts: int) -> None:
    """Count a segment, and say what is odd about it."""
    look.pixels[row.category_id] += area
    look.segments[row.category_id] += 1
    where = f"{picture.png_name}: {category.name} {row.id}"
    if area < MIN_THING_PX:
        look.complain(Kind.TINY_SEGMENT, f"{where} ({area} px)")
    if row.is_crowd:
        look.crowds += 1
    elif category.is_thing:
        look.things_in_parts += parts > 1
        if parts > MANY_PARTS:
            look.complain(Kind.SCATTERED_THING, f"{where} ({parts} parts)")


def _times(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
