"""The ids that a panoptic PNG holds, in whatever form. H x W pixels."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from unipan.classes import VOID_ID
from unipan.data.id_maps import ids_from_rgb, read_id_map
from unipan.errors import InputError
from unipan.ops.images import UNREADABLE, has_deep_colors, is_file, open_image, plain_numbers
from unipan.ops.segments import runs_of
from unipan.tools.doctor.entries import LabelledImage
from unipan.tools.doctor.faults import Kind
from unipan.tools.doctor.findings import Fault

GRAY = ("1", "L", "I", "I;16", "I;16B", "I;16L")
"""Pillow's modes of one number a pixel."""


def read_ids(image: LabelledImage, path: Path) -> tuple[Tensor | None, Fault | None]:
    """The ids (H, W) of a PNG, None where none can be made out; and what is wrong where training would not read them so."""
    if not is_file(path):
        return None, Fault(Kind.PNG_MISSING, str(path))
    listed, ids = {segment.id for segment in image.segments}, None
    try:
        ids = read_id_map(path)  # training's own reader
        found = set(runs_of(ids).ids.tolist()) - {VOID_ID}
        if found & listed or not found:
            return ids, None
    except InputError:  # perhaps another form holds them
        pass
    try:
        with open_image(path) as file:
            form = f"{file.format} of mode {file.mode}{' with 16 bits a channel' if has_deep_colors(file) else ''}"
            mode, readings = file.mode, _readings(file)
    except UNREADABLE as error:
        return ids, Fault(Kind.PNG_UNREADABLE, f"{path}: {error}") if ids is None else None
    if ids is not None and mode != "P":
        return ids, None
    fitting = next((ids for ids in readings if set(np.unique(ids).tolist()) - {VOID_ID} == listed), None)
    return None if fitting is None else torch.from_numpy(fitting), Fault(Kind.PNG_MODE, f"{path.name} is a {form}")


def _readings(file: Image.Image) -> list[NDArray[np.int32]]:
    """What a PNG's pixels may mean as ids: its colors, or its gray values or indices of the palette. None of half-read colors."""
    if has_deep_colors(file):
        return []
    if file.mode in GRAY:
        return [plain_numbers(file)]
    colors = ids_from_rgb(np.asarray(file.convert("RGB")))
    return [colors, plain_numbers(file)] if file.mode == "P" else [colors]
