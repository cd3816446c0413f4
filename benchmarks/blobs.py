"""Small data of another kind than scenes or photographs: `python benchmarks/blobs.py runs/blobs` draws and writes it.

Grey images of 256 x 256 as from a microscope: 15 to 55 blurred blobs of one class, most of them beside another one, on a noisy
background of uneven brightness. 80 images to train on, 40 to choose settings by and 120 to report on, in the COCO panoptic
format: OUT/train.json, OUT/choose.json, OUT/report.json, and a folder of images for each.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from unipan.classes import ClassInfo, ClassTable
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.files import make_folder
from unipan.ops.segments import Label, panoptic_map

SIDE = 256
IMAGES = {"train": 80, "choose": 40, "report": 120}
CLASSES = ClassTable(
    (
        ClassInfo(name="blob", is_thing=True, dataset_id=1, color=(220, 120, 60), supercategory="blob"),
        ClassInfo(name="background", is_thing=False, dataset_id=2, color=(60, 90, 160), supercategory="background"),
    )
)
BESIDE = 0.65
"""Share of the blobs that are tried beside another one."""
Ids = NDArray[np.int32]


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for seed, (split, number) in enumerate(IMAGES.items()):
        folder = given.out / f"{split}-images"
        make_folder(folder)
        drawn = entries(split, number, seed, folder)
        path = write_panoptic(given.out, drawn, CLASSES, json_name=f"{split}.json", png_folder=split, scores=False)
        print(f"{number} images: {path}, {folder}")


def entries(split: str, number: int, seed: int, folder: Path) -> Iterator[Entry]:
    """The truth of each image, whose picture is written into the folder."""
    for index in range(number):
        rng = np.random.default_rng([seed, index])
        name = f"{split}-{index:04d}.png"
        ids = lay(rng)
        Image.fromarray(paint(rng, ids)).save(folder / name)
        labels = [Label(1, 1), *(Label(id, 0) for id in range(2, ids.max() + 1))]
        yield Entry(index + 1, name, panoptic_map(torch.from_numpy(ids), labels, CLASSES))


def lay(rng: Generator) -> Ids:
    """(SIDE, SIDE): 1 is background, the blobs from 2 on. A blob is never drawn over another one."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    ids = np.ones((SIDE, SIDE), dtype=np.int32)
    number, radius = rng.integers(15, 56), rng.uniform(9, 15)
    middles: list[tuple[float, float]] = []
    for _ in range(6 * number):  # tries: many find no room
        y, x = _place(rng, middles, radius)
        blob = _blob(rng, rows - y, columns - x, radius * rng.uniform(0.75, 1.3))
        own = blob & (ids == 1)
        if 0 <= y < SIDE and 0 <= x < SIDE and own.sum() > max(60, 0.8 * blob.sum()):
            middles.append((y, x))
            ids[own] = 1 + len(middles)
        if len(middles) == number:
            break
    return ids


def _place(rng: Generator, middles: list[tuple[float, float]], radius: float) -> tuple[float, float]:
    if not middles or rng.random() > BESIDE:
        return rng.uniform(0, SIDE), rng.uniform(0, SIDE)
    y, x = middles[rng.integers(len(middles))]
    angle, distance = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.4, 2.1)
    return y + distance * np.sin(angle), x + distance * np.cos(angle)


def _blob(rng: Generator, dy: NDArray, dx: NDArray, radius: float) -> NDArray[np.bool_]:
    """An ellipse with a slightly uneven outline."""
    flat, turn = rng.uniform(0.6, 1), rng.uniform(0, np.pi)
    along, across = dx * np.cos(turn) + dy * np.sin(turn), (dy * np.cos(turn) - dx * np.sin(turn)) / flat
    angle = np.arctan2(across, along)
    waves = 0.08 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.06 * np.sin(3 * angle + rng.uniform(0, 6))
    return along**2 + across**2 < (radius * (1 + waves)) ** 2


def paint(rng: Generator, ids: Ids) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3), all three the same."""
    brightness = np.where(np.arange(ids.max() + 1) < 2, 0, rng.uniform(0.35, 1, ids.max() + 1))
    blobs = _blurred(brightness[ids] * rng.uniform(100, 200), 1.2)
    ground = rng.uniform(5, 40) + _blurred(rng.normal(0, 60, ids.shape) + 128, 25) - 128
    noise = rng.normal(0, rng.uniform(3, 9), ids.shape)
    grey = np.clip(blobs + ground + noise, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _blurred(values: NDArray, radius: float) -> NDArray[np.float64]:
    picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float64)


if __name__ == "__main__":
    main()
