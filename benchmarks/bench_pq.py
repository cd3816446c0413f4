"""Counting panoptic quality of one 1024 x 2048 pair in memory: `count` against the usual np.unique route, in one run."""

import numpy as np
import torch
from record import interleaved, record

from unipan.classes import ClassTable
from unipan.metrics.pq import count
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

HEIGHT, WIDTH = 1024, 2048
NUM_SEGMENTS = 60
ROUNDS = 7
CLASSES = ClassTable.from_categories([{"id": n, "name": str(n), "isthing": n % 2} for n in range(1, 20)])


def scene(seed: int) -> PanopticMap:
    """Regions nearest to scattered points, with ragged edges as in real masks and ids all over the format's range."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).uniform((0, 0), (HEIGHT, WIDTH), (NUM_SEGMENTS, 2)) + rng.normal(0, 8, (NUM_SEGMENTS, 2))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + rng.normal(0, 2, (2, HEIGHT, WIDTH))
    nearest, best = np.zeros((HEIGHT, WIDTH), np.int64), np.full((HEIGHT, WIDTH), np.inf)
    for position, (cy, cx) in enumerate(centres):
        distance = (y - cy) ** 2 + (x - cx) ** 2
        nearest[distance < best] = position
        best = np.minimum(best, distance)
    known = rng.choice(np.arange(1, 2**24), NUM_SEGMENTS, replace=False)
    labels = [Label(int(number), position % len(CLASSES)) for position, number in enumerate(known)]
    return panoptic_map(torch.from_numpy(known[nearest].astype(np.int32)), labels, CLASSES)


def unique_route(predicted: PanopticMap, true: PanopticMap) -> dict[tuple[int, int], int]:
    """The pixel work of the reference's approach, without its matching: sort joint ids, and the predicted ids for their areas."""
    true_ids, predicted_ids = true.ids.numpy().astype(np.uint64), predicted.ids.numpy().astype(np.uint64)
    np.unique(predicted_ids, return_counts=True)
    joint, areas = np.unique(true_ids * 2**24 + predicted_ids, return_counts=True)
    return {(int(pair) >> 24, int(pair) % 2**24): int(area) for pair, area in zip(joint, areas, strict=True)}


def main() -> None:
    torch.set_num_threads(1)
    predicted, true = scene(1), scene(2)
    ways = {
        "np.unique of joint ids": lambda: unique_route(predicted, true),
        "unipan": lambda: count(predicted, true, len(CLASSES)),
    }
    record("bench_pq", {f"one pair of {HEIGHT} x {WIDTH} in memory": interleaved(ways, ROUNDS)})


if __name__ == "__main__":
    main()
