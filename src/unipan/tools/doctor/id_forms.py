"""The ids that a panoptic PNG holds, in whatever form. H x W pixels."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipan.classes import VOID_ID
from unipan.data.id_maps import SWAPPED, ids_from_rgb, read_id_map, swapped_ids
from unipan.data.nearby import nearby
from unipan.errors import InputError
from unipan.ops.images import UNREADABLE, is_file, open_image
from unipan.ops.raw_forms import has_deep_colors, plain_numbers
from unipan.ops.segments import runs_of
from unipan.tools.doctor.entries import LabelledImage
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault

GRAY = ("1", "L", "I", "I;16", "I;16B", "I;16L")
"""Pillow's modes of one number a pixel."""


def read_ids(image: LabelledImage, folder: Path) -> tuple[Tensor | None, Fault | None]:
    """The ids (H, W) of a PNG, None where none can be made out; and what is wrong where training would not read them so."""
    path = folder / image.png_name
    if not is_file(path):
        there = nearby(folder, image.png_name)
        return None, Fault(Kind.PNG_MISSING, f"{path} ({there})" if there else str(path))
    listed, found, ids = {segment.id for segment in image.segments} - {VOID_ID}, set[int](), None
    try:
        ids = read_id_map(path)  # training's own reader
        found = _ids_in(ids)
        if found == listed or not found:
            return ids, None
    except InputError:  # perhaps another form holds them
        pass
    swapped = {swapped_ids(id) for id in found} == listed
    try:
        with open_image(path) as file:
            if ids is not None and file.mode != "P" and not swapped:
                return ids, None  # colors in no other form, so no second look at the pixels
            form = f"{file.format} of mode {file.mode}{' with 16 bits a channel' if has_deep_colors(file) else ''}"
            readings = _readings(file)
    except UNREADABLE as error:
        return ids, Fault(Kind.PNG_UNREADABLE, f"{path}: {error}") if ids is None else None
    for reading, cause in readings:
        if _ids_in(torch.from_numpy(reading)) == listed:
            return torch.from_numpy(reading), Fault(Kind.PNG_MODE, f"{path.name} is a {form}{cause}")
    if ids is not None and found & listed:  # a palette of ids
        return ids, None
    return None, Fault(Kind.PNG_MODE, f"{path.name} is a {form}")


def _ids_in(ids: Tensor) -> set[int]:
    return set(runs_of(ids).ids.tolist()) - {VOID_ID}


def _readings(file: Image.Image) -> list[tuple[NDArray[np.int32], str]]:
    """What a PNG's pixels may mean as ids: its colors, or its gray values or indices of the palette. None of half-read colors.

    Each with what is wrong with it beside its form.
    """
    if has_deep_colors(file):
        return []
    if file.mode in GRAY:
        return [(plain_numbers(file), "")]
    colors = ids_from_rgb(np.asarray(file.convert("RGB")))
    indices = [(plain_numbers(file), "")] if file.mode == "P" else []
    return [(colors, ""), *indices, (swapped_ids(colors), f" with {SWAPPED}")]
