"""A small Cityscapes: its download, drawn by hand, and the official JSON of it in both forms."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

FRAMES = {
    # road, sky, two cars, a group of cars, a parked caravan, ego vehicle; 0: unlabelled
    ("aachen", "aachen_000001_000019"): [
        [23, 23, 23, 23, 0, 11],
        [26001, 26001, 26002, 26, 29001, 11],
        [7, 7, 7, 7, 26, 29],
        [1, 1, 7, 7, 24000, 24000],
    ],
    # a thing alone, and a group of people
    ("bochum", "bochum_000000_000313"): [[7, 7, 7, 24], [7, 25000, 24, 24], [33007, 33007, 4, 20]],
}
OFFICIAL = {  # label id -> train id, name, is it a thing; only what is drawn above, and a class that is not
    7: (0, "road", 0),
    11: (2, "building", 0),
    20: (7, "traffic sign", 0),
    23: (10, "sky", 0),
    24: (11, "person", 1),
    25: (12, "rider", 1),
    26: (13, "car", 1),
    33: (18, "bicycle", 1),
}


def write_download(root: Path, split: str = "val") -> Path:
    """leftImg8bit and gtFine as they are unpacked. An image's red is its width, so that each can be told."""
    for (city, frame), rows in FRAMES.items():
        values = np.array(rows, dtype=np.uint16)
        for top, end in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_instanceIds"), ("gtFine", "gtFine_labelIds")):
            folder = root / top / split / city
            folder.mkdir(parents=True, exist_ok=True)
            height, width = values.shape
            image = Image.new("RGB", (width, height), (width, 0, 0))
            drawn = {
                "leftImg8bit": image,
                "gtFine_instanceIds": Image.fromarray(values),
                "gtFine_labelIds": Image.fromarray(np.where(values < 1000, values, values // 1000).astype(np.uint8)),
            }
            drawn[end].save(folder / f"{frame}_{end}.png")
    return root


def write_official_json(folder: Path, categories: list[dict], *, train_ids: bool = False, split: str = "val") -> Path:
    """What Cityscapes' own script makes of the download, names of files and ids of images included."""
    path = folder / f"cityscapes_panoptic_{split}{'_trainId' if train_ids else ''}.json"
    path.with_suffix("").mkdir(parents=True)
    images, annotations = [], []
    for (_, frame), rows in FRAMES.items():
        values, segments = np.array(rows), []
        for value in np.unique(values).tolist():
            label = value if value < 1000 else value // 1000
            if label not in OFFICIAL:
                values[values == value] = 0
                continue
            train_id, _, is_thing = OFFICIAL[label]
            category = train_id if train_ids else label
            segments.append({"id": value, "category_id": category, "iscrowd": int(value < 1000 and is_thing)})
        rgb = np.stack([values % 256, values // 256 % 256, values // 65536], -1).astype(np.uint8)
        Image.fromarray(rgb).save(path.with_suffix("") / f"{frame}_gtFine_panoptic.png")
        images.append({"id": frame, "file_name": f"{frame}_gtFine_leftImg8bit.png"})
        annotations.append({"image_id": frame, "file_name": f"{frame}_gtFine_panoptic.png", "segments_info": segments})
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def official_categories(table: list[dict], *, train_ids: bool) -> list[dict]:
    """The categories of the 19 classes, numbered by label id or by index, which is the train id."""
    return [entry | {"id": position} for position, entry in enumerate(table)] if train_ids else table
