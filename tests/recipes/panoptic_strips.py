"""Small data sets in the COCO panoptic format, drawn as strips."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

Content = dict[str, Any]

CATEGORIES = [
    {"id": 10, "name": "cat", "supercategory": "animal", "isthing": 1},
    {"id": 20, "name": "dog", "supercategory": "animal", "isthing": 1},
    {"id": 30, "name": "sea", "supercategory": "water", "isthing": 0},
    {"id": 40, "name": "lake", "supercategory": "water", "isthing": 0},
]
CATEGORY_OF_LETTER = {"c": 10, "d": 20, "s": 30, "l": 40}


def write(path: Path, rows: Mapping[int, str] | Mapping[str, str]) -> Path:
    """A JSON and its PNGs from strips: a letter is the one segment of its category, a dot void."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    annotations = []
    for image_id, row in rows.items():
        save_ids(folder / f"{image_id}.png", torch.tensor([[0 if letter == "." else 1000 * ord(letter) for letter in row]]))
        segments = [
            {"id": 1000 * ord(a), "category_id": CATEGORY_OF_LETTER[a], "iscrowd": 0} for a in dict.fromkeys(row) if a != "."
        ]
        annotations.append({"image_id": image_id, "file_name": f"{image_id}.png", "segments_info": segments})
    content = {"categories": CATEGORIES, "annotations": annotations}
    path.write_text(json.dumps(content))
    return path


def save_ids(path: Path, ids: Tensor) -> None:
    rgb = torch.stack([ids % 256, ids // 256 % 256, ids // 256**2], -1).to(torch.uint8)
    Image.fromarray(rgb.numpy()).save(path)


def edit(path: Path, change: Callable[[Content], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def write_truth(folder: Path) -> Path:
    return write(folder / "truth.json", {1: "ccccssss", 2: "ddddllll"})


def write_predictions(folder: Path) -> Path:
    """Cat 3/4, sea 4/5; dog 1; lake 3/4."""
    return write(folder / "predictions.json", {2: "ddddlll.", 1: "cccsssss"})
