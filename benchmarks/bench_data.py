"""What one loader process delivers: augmented 512 x 1024 crops from pairs of 1024 x 2048 PNG files, and where the time goes.

Processor time of this process, so that others on the machine do not count.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import process_time
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from record import record
from torch import Tensor
from torchvision.io import decode_image

from unipan.classes import VOID
from unipan.data.id_maps import read_id_map, write_id_map
from unipan.data.loader import collate
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.targets import make_target
from unipan.data.training_item import training_item
from unipan.data.transforms import Augmentation, color_jitter, draw_view, hflip, resize_both, take_view
from unipan.ops.images import read_image
from unipan.ops.segments import Label, panoptic_map
from unipan.ops.sizes import resized_size
from unipan.types import PanopticMap, Sample

HEIGHT, WIDTH = 1024, 2048
NUM_PAIRS, VIEWS = 6, 48
NOISE = 0.9
"""Gray levels (standard deviation) added to smooth images, so that their PNGs are as large as those of a camera."""
SETTINGS = Augmentation(short_side=0, long_side=0, scale_range=(0.5, 2.0), crop=(512, 1024), flip=True, jitter=0.1)
"""The Cityscapes presets' own."""
SCENES = SceneDataset(difficulty="crowded", size=(HEIGHT // 2, WIDTH // 2), seed=0, length=NUM_PAIRS)


class Pair(NamedTuple):
    image: Path
    ids: Path
    labels: list[Label]


def write_pair(folder: Path, number: int) -> Pair:
    """A crowded scene at half the size, enlarged smoothly and strewn with noise."""
    scene = SCENES[number]
    image, ids = resize_both(scene.image, scene.truth.ids, (HEIGHT, WIDTH))
    noise = np.random.default_rng(number).normal(0, NOISE, (HEIGHT, WIDTH, 3)).round()
    pair = Pair(
        folder / f"{number}.png", folder / f"{number}_ids.png", [Label(s.id, s.class_index) for s in scene.truth.segments]
    )
    Image.fromarray((image.permute(1, 2, 0).numpy() + noise).clip(0, 255).astype(np.uint8)).save(pair.image)
    write_id_map(pair.ids, ids)
    return pair


def crops_per_second(pairs: list[Pair]) -> float:
    """From files to a batch of one, as a worker does it."""
    start = process_time()
    for number in range(VIEWS):
        pair = pairs[number % NUM_PAIRS]
        truth = panoptic_map(read_id_map(pair.ids), pair.labels, SCENES.classes)
        sample = Sample(image=read_image(pair.image), truth=truth, image_id=number, file_name=pair.image.name)
        collate([training_item(sample, SETTINGS, np.random.default_rng(number), min_thing_px=4)])
    return VIEWS / (process_time() - start)


class Clock:
    """Milliseconds of processor time by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, list[float]]] = {}

    @contextmanager
    def __call__(self, stage: str, way: str = "unipan") -> Iterator[None]:
        start = process_time()
        yield
        self.stages.setdefault(stage, {}).setdefault(way, []).append(1000 * (process_time() - start))


@contextmanager
def by_pillow() -> Iterator[None]:
    """Within, images are read as those are that the fast decoder leaves to Pillow."""
    with patch("unipan.ops.images.decode_plain", return_value=None):
        yield


def measure_view(pair: Pair, number: int, clock: Clock) -> None:
    """Each stage of one view, and what was not chosen, on the same view."""
    with clock("decode the image PNG"):
        image = read_image(pair.image)
    with clock("decode the image PNG", "Pillow"), by_pillow():
        read_image(pair.image)
    with clock("decode the image PNG", "torchvision's decoder"):
        decode_image(str(pair.image))
    with clock("decode the id PNG"):
        ids = read_id_map(pair.ids)
    with clock("id map to segments"):
        truth = panoptic_map(ids, pair.labels, SCENES.classes)
    random = np.random.default_rng(number)
    view = draw_view((HEIGHT, WIDTH), SETTINGS, random)
    part, part_ids = take_view(image, ids, view)
    with clock("resize the view"):
        resized, ids = resize_both(part, part_ids, view.size)
    with clock("resize the view", "the whole pair, then crop"):
        factor = view.size[0] / view.height
        resize_both(image, truth.ids, resized_size((HEIGHT, WIDTH), short_side=round(HEIGHT * factor), long_side=0))
    with clock("jitter the colors of the smaller of view and crop"):
        jittered = color_jitter(min(part, resized, key=Tensor.numel), jitter=SETTINGS.jitter, random=random)
    with clock("jitter the colors of the smaller of view and crop", "always the view"):
        color_jitter(part, jitter=SETTINGS.jitter, random=random)
    with clock("flip"):
        hflip(jittered, ids)
    with clock("id map to target"):
        make_target(replace(truth, ids=ids), min_thing_px=4)
    with clock("id map to target", "a comparison a segment"):
        target_by_comparisons(replace(truth, ids=ids))


def target_by_comparisons(truth: PanopticMap) -> None:
    """The usual way to maps and boxes: the whole id map compared with every segment's id."""
    instances = torch.full(truth.ids.shape, -1, dtype=torch.int32)
    semantic = torch.full(truth.ids.shape, VOID, dtype=torch.int16)
    for position, segment in enumerate(truth.segments):
        mask = truth.ids == segment.id
        semantic[mask] = segment.class_index
        if segment.is_thing and mask.any():
            instances[mask] = position
            rows, columns = torch.where(mask)
            torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def main() -> None:
    torch.set_num_threads(1)
    clock = Clock()
    with TemporaryDirectory() as name:
        pairs = [write_pair(Path(name), number) for number in range(NUM_PAIRS)]
        megabytes, id_megabytes = (
            fmean(path.stat().st_size for path in paths) / 1e6 for paths in list(zip(*pairs, strict=True))[:2]
        )
        crops = max(crops_per_second(pairs) for _ in range(3))
        with by_pillow():
            slower = max(crops_per_second(pairs) for _ in range(3))
        for number in range(VIEWS):
            measure_view(pairs[number % NUM_PAIRS], number, clock)
    segments = fmean(len(pair.labels) for pair in pairs)
    note = (
        f"PNG pairs of {HEIGHT} x {WIDTH} ({megabytes:.1f} and {id_megabytes:.2f} MB, {segments:.0f} segments); "
        f"{crops:.1f} crops of 512 x 1024 in a second of processor time, {slower:.1f} where Pillow reads the images."
    )
    record("bench_data", clock.stages, note=note)


if __name__ == "__main__":
    main()
