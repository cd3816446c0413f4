"""Look at one image and its PNG, and collect what is wrong with them. H x W pixels."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipan.classes import VOID_ID
from unipan.data.checks.findings import Fault
from unipan.data.checks.json_entries import Picture
from unipan.data.checks.kinds import MANY_PARTS, MIN_THING_PX, MOST_VOID, Kind
from unipan.data.checks.parts import parts_of
from unipan.data.checks.rows import Category, Row
from unipan.data.id_maps import ids_from_rgb
from unipan.errors import InputError
from unipan.ops.images import UNREADABLE, is_file, read_image
from unipan.ops.segments import index_of_ids, measure, runs_of
from unipan.types import Size

GRAY = ("1", "L", "I", "I;16", "I;16B", "I;16L")
"""Pillow's modes of one number a pixel."""


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
    things: int = 0
    things_in_parts: int = 0
    crowds: int = 0

    def complain(self, kind: Kind, where: str, *, usable: bool = True) -> None:
        self.faults.append(Fault(kind, where))
        self.usable &= usable


def look_at(picture: Picture, categories: Mapping[int, Category], *, image_path: Path | None, png_path: Path) -> Look:
    """Every fault of one image. image_path: None where no folder has it."""
    look = Look(picture.file_name)
    image_size = look_at_image(look, picture.file_name, image_path)
    ids = read_ids(look, picture, png_path)
    if ids is None:
        return look
    check_sizes(look, picture, image_size, (ids.shape[0], ids.shape[1]))
    check_ids(look, picture, ids, categories)
    return look


def look_at_image(look: Look, name: str, path: Path | None) -> Size | None:
    """The size of the picture as a person sees it, None where it can't be read."""
    if path is None or not is_file(path):
        look.complain(Kind.IMAGE_MISSING, name if path is None else str(path), usable=False)
        return None
    try:
        image = read_image(path)
    except InputError as error:
        look.complain(
            Kind.IMAGE_UNREADABLE, str(error).removeprefix("cannot read the image ").split(". Expected")[0], usable=False
        )
        return None
    size = (image.shape[1], image.shape[2])
    look.digest = hashlib.blake2b(image.numpy().tobytes() + repr(size).encode(), digest_size=16).digest()
    return size


def read_ids(look: Look, picture: Picture, path: Path) -> Tensor | None:
    """The ids (H, W) of a PNG in any form; a complaint where training would not read them so. None: it can't be read."""
    if not is_file(path):
        look.complain(Kind.PNG_MISSING, str(path), usable=False)
        return None
    try:
        with Image.open(path) as file:
            kind, mode = str(file.format), file.mode
            readings = _readings(file)
    except UNREADABLE as error:
        look.complain(Kind.PNG_UNREADABLE, f"{path}: {error}", usable=False)
        return None
    if kind == "PNG" and mode == "RGB":
        return torch.from_numpy(readings[0])
    listed = {row.id for row in picture.rows}
    found = [set(np.unique(ids).tolist()) - {VOID_ID} for ids in readings]
    if kind == "PNG" and mode == "P" and (found[0] & listed or found[0] == listed):
        return torch.from_numpy(readings[0])
    fitting = next((ids for ids, its in zip(readings, found, strict=True) if its == listed), None)
    look.complain(Kind.PNG_MODE, f"{path.name} is a {kind} of mode {mode}", usable=fitting is not None)
    return None if fitting is None else torch.from_numpy(fitting)


def _readings(file: Image.Image) -> list[NDArray[np.int32]]:
    """What a PNG's pixels may mean as ids: its colours, or its gray values or places in the palette."""
    if file.mode in GRAY:
        return [np.asarray(file).astype(np.int32)]
    colours = ids_from_rgb(np.asarray(file.convert("RGB")))
    return [colours, np.asarray(file).astype(np.int32)] if file.mode == "P" else [colours]


def check_sizes(look: Look, picture: Picture, image_size: Size | None, png_size: Size) -> None:
    """Image, PNG and JSON must agree."""
    if image_size and image_size != png_size:
        where = f"{picture.file_name} is {_times(image_size)}, {picture.png_name} is {_times(png_size)}"
        look.complain(Kind.SIZE_PNG, where, usable=False)
    if picture.size and picture.size != png_size:
        where = f"{picture.file_name}: {_times(picture.size)} in the JSON, {picture.png_name} is {_times(png_size)}"
        look.complain(Kind.SIZE_JSON, where)


def check_ids(look: Look, picture: Picture, ids: Tensor, categories: Mapping[int, Category]) -> None:
    """PNG against JSON, and what the segments are like."""
    runs = runs_of(ids)
    found = set(runs.ids.tolist()) - {VOID_ID}
    unlisted = sorted(found - {row.id for row in picture.rows})
    if unlisted:
        more = f" and {len(unlisted) - 3} more" if len(unlisted) > 3 else ""
        look.complain(Kind.ID_ONLY_PNG, f"{picture.png_name}: {', '.join(map(str, unlisted[:3]))}{more}")
    index = index_of_ids(ids, [row.id for row in picture.rows])
    areas, boxes = measure(index, len(picture.rows))
    parts = parts_of(runs, ids.shape[1])
    for row, area, box in zip(picture.rows, areas.tolist(), boxes.tolist(), strict=True):
        if area == 0:
            look.complain(Kind.ID_ONLY_JSON, f"{picture.png_name}: {row.id}")
            continue
        _check_numbers(look, picture, row, area, box)
        category = categories.get(row.category_id)
        if category is not None:
            _check_segment(look, picture, row, category, area, parts[row.id])
    look.void = ids.numel() - sum(look.pixels.values())
    if not look.segments:
        look.complain(Kind.EMPTY, picture.file_name)
    elif look.void > MOST_VOID * ids.numel():
        look.complain(Kind.MOSTLY_VOID, f"{picture.file_name} ({look.void / ids.numel():.1%})")


def _check_numbers(look: Look, picture: Picture, row: Row, area: int, box: list[int]) -> None:
    """The JSON's area and box against the counted ones."""
    if row.area is not None and row.area != area:
        look.complain(Kind.AREA, f"{picture.png_name}: segment {row.id} has {area} px, the JSON says {row.area:g}")
    x1, y1, x2, y2 = box
    counted = (x1, y1, x2 - x1, y2 - y1)
    if row.box is not None and max(abs(a - b) for a, b in zip(row.box, counted, strict=True)) > 1:
        said = " ".join(f"{side:g}" for side in row.box)
        look.complain(Kind.BOX, f"{picture.png_name}: segment {row.id} has {' '.join(map(str, counted))}, the JSON says {said}")


def _check_segment(look: Look, picture: Picture, row: Row, category: Category, area: int, parts: int) -> None:
    """Count a segment, and say what is odd about it."""
    look.pixels[category.id] += area
    look.segments[category.id] += 1
    where = f"{picture.png_name}: {category.name} {row.id}"
    if area < MIN_THING_PX:
        look.complain(Kind.TINY, f"{where} ({area} px)")
    if row.is_crowd:
        look.crowds += 1
    elif category.is_thing:
        look.things += 1
        look.things_in_parts += parts > 1
        if parts > MANY_PARTS:
            look.complain(Kind.SCATTERED, f"{where} ({parts} parts)")


def _times(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
