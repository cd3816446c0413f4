"""Files to give to the command line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from unipan.checkpoint import RunFolder, save_model, write_settings
from unipan.classes import ClassTable
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.models.build import untrained_network
from unipan.ops.segments import Label, panoptic_map
from unipan.presets import PRESETS

CLASSES = ClassTable.from_categories([{"id": 5, "name": "sky", "isthing": 0}, {"id": 8, "name": "cat", "isthing": 1}])


def untrained_run(path: Path, **settings: Any) -> Path:
    """A run that has learnt nothing. settings: of the model."""
    small = PRESETS["scenes"]()
    model = replace(small.model, pretrained=False, fpn_channels=16, decoder_channels=(8, 8), affinity_dim=8, **settings)
    config = replace(small, model=model)
    write_settings(RunFolder(path), config, CLASSES)
    torch.manual_seed(0)
    save_model(RunFolder(path).model, untrained_network(config, CLASSES))
    return path


def write_cat(path: Path, shift: int) -> Path:
    """Panoptic files of one image: a cat of 4 x 4 pixels before the sky, `shift` pixels to the right."""
    ids = torch.ones(8, 12, dtype=torch.int32)
    ids[2:6, 2 + shift : 6 + shift] = 2
    entry = Entry(1, "a.png", panoptic_map(ids, [Label(1, 0), Label(2, 1)], CLASSES))
    return write_panoptic(path.parent, [entry], CLASSES, json_name=path.name, png_folder=path.stem, scores=False)
