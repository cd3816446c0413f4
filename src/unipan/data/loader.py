"""Training batches without hidden state: step t of a run depends on (seed, t) alone, so a run resumes at any step exactly.

B images in a batch; H x W pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unipan.classes import VOID
from unipan.data.dataset import PanopticDataset
from unipan.data.targets import make_target
from unipan.data.transforms import Augmentation, augment
from unipan.errors import InputError
from unipan.types import Batch, PanopticMap, Sample, Target

ORDER, CHANGE, DRAW = 0, 1, 2
"""What a random stream is for: the order of an epoch, the augmentation of a sample, or what its losses draw."""


class TrainingItem(NamedTuple):
    """One training image."""

    image: Tensor  # (3, H, W) float RGB in 0..1
    target: Target
    name: str


def training_item(
    sample: Sample, augmentation: Augmentation, random: np.random.Generator, *, min_thing_px: int, seed: int = 0
) -> TrainingItem:
    """Augment a sample and derive its target, which bears the `seed`."""
    image, ids = augment(sample.image, sample.truth.ids, augmentation, random)
    target = make_target(PanopticMap(ids, sample.truth.segments), min_thing_px=min_thing_px, seed=seed)
    return TrainingItem(image.float() / 255, target, sample.file_name)


def collate(items: Sequence[TrainingItem]) -> Batch:
    """Pad images with zeros at the right and the bottom to the largest height and width among them.

    The targets are views of one tensor per kind, because each tensor with memory of its own that a worker passes stays an open
    file, and systems allow about a thousand of those.
    """
    sizes = tuple((item.image.shape[-2], item.image.shape[-1]) for item in items)
    targets = [item.target for item in items]
    height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
    images = torch.zeros(len(items), 3, height, width)
    instances = torch.full((len(items), height, width), -1, dtype=torch.int32)
    semantic = torch.full((len(items), height, width), VOID, dtype=torch.uint8)
    for place, (item, (h, w)) in enumerate(zip(items, sizes, strict=True)):
        images[place, :, :h, :w] = item.image
        instances[place, :h, :w] = item.target.instances
        semantic[place, :h, :w] = item.target.semantic
    things = [len(target.labels) for target in targets]
    boxes = torch.cat([target.boxes for target in targets]).split(things)
    labels = torch.cat([target.labels for target in targets]).split(things)
    views = tuple(
        Target(
            boxes=boxes[i],
            labels=labels[i],
            instances=instances[i, :h, :w],
            semantic=semantic[i, :h, :w],
            seed=targets[i].seed,
        )
        for i, (h, w) in enumerate(sizes)
    )
    return Batch(images=images, sizes=sizes, targets=views, names=tuple(item.name for item in items))


@lru_cache(maxsize=2)  # a batch may straddle two epochs
def epoch_order(length: int, seed: int, epoch: int) -> np.ndarray:
    """The order (length,) in which an epoch visits the data set."""
    return np.random.default_rng((seed, ORDER, epoch)).permutation(length)


@dataclass(frozen=True, kw_only=True)
class StepBatches(Dataset):
    """The endless sequence of batches, by step. Epochs follow one another without a gap: a batch may hold the seam of two.

    A faulty sample gives its InputError as the value: raised in a worker, it would reach the user wrapped in a traceback.
    """

    dataset: PanopticDataset
    augmentation: Augmentation
    min_thing_px: int
    batch_size: int
    """Samples of one step, over all processes."""
    seed: int
    process: int
    """Of each step's samples this process takes every `processes`-th, from its own number on."""
    processes: int

    def __getitem__(self, step: int) -> Batch | InputError:
        numbers = range(step * self.batch_size, (step + 1) * self.batch_size)
        try:
            return collate([self.item(number) for number in numbers[self.process :: self.processes]])
        except InputError as error:
            return error

    def item(self, number: int) -> TrainingItem:
        """The sample with this number, counted from the start of training."""
        epoch, place = divmod(number, len(self.dataset))
        index = int(epoch_order(len(self.dataset), self.seed, epoch)[place])
        random = np.random.default_rng((self.seed, CHANGE, number))
        seed = int(np.random.default_rng((self.seed, DRAW, number)).integers(2**62))
        return training_item(self.dataset[index], self.augmentation, random, min_thing_px=self.min_thing_px, seed=seed)


def training_batches(
    dataset: PanopticDataset,
    *,
    augmentation: Augmentation,
    min_thing_px: int,
    batch_size: int,
    seed: int,
    workers: int,
    start_step: int,
    steps: int,
    process: int = 0,
    processes: int = 1,
) -> Iterator[Batch]:
    """Yield this process's batches of steps `start_step` to `steps` - 1.

    Neither `workers` nor `start_step` changes what a step holds, and the processes' shares of it add up to the same samples.
    """
    if len(dataset) == 0:
        raise InputError("the training data set holds no images; check data.root and data.train_split.")
    if batch_size < processes:
        raise InputError(f"train.batch_size ({batch_size}) must be at least the number of processes ({processes}).")
    loader = DataLoader(
        StepBatches(
            dataset=dataset,
            augmentation=augmentation,
            min_thing_px=min_thing_px,
            batch_size=batch_size,
            seed=seed,
            process=process,
            processes=processes,
        ),
        batch_size=None,  # the data set's entries are whole batches
        sampler=range(start_step, steps),
        num_workers=workers,
        generator=torch.Generator(),  # otherwise the loader draws a number from the global generator
    )
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch
