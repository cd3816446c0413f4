"""Time overlays of 1024 x 2048: python benchmarks/bench_overlay.py [ROUNDS]. Drawn with few and many labels, and written."""

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import interleaved, record

from unipan.classes import ClassTable
from unipan.data.scenes.dataset import SceneDataset
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap
from unipan.viz.canvas import save_image
from unipan.viz.overlay import overlay

SIZE = (1024, 2048)
CLASSES = ClassTable.from_categories([{"id": 1, "name": "car", "isthing": 1}, {"id": 2, "name": "road", "isthing": 0}])


def many(count: int) -> PanopticMap:
    """Small rectangles on a road."""
    rng = np.random.default_rng(count)
    ids = torch.full(SIZE, count + 1, dtype=torch.int32)
    for number in range(1, count + 1):
        y, x, (height, width) = rng.integers(0, 1000), rng.integers(0, 2000), rng.integers(8, 40, 2)
        ids[y : y + height, x : x + width] = number
    return panoptic_map(ids, [*(Label(n, 0, score=0.9) for n in range(1, count + 1)), Label(count + 1, 1)], CLASSES)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    scene = SceneDataset(difficulty="crowded", size=SIZE, seed=0, length=1)[0]
    drawn = overlay(scene.truth, scene.image)
    ways = {"without labels": partial(overlay, many(300), scene.image, labels=False)}
    ways |= {f"with {count} labels": partial(overlay, many(count), scene.image) for count in (75, 300)}
    with tempfile.TemporaryDirectory() as folder:
        writing = {form: partial(save_image, drawn, Path(folder) / f"drawn.{form.lower()}") for form in ("PNG", "JPG")}
        times = {"draw": interleaved(ways, rounds), "write": interleaved(writing, rounds)}
    record("bench_overlay", times)


if __name__ == "__main__":
    main()
