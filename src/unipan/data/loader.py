"""Training batches without hidden state: step t of a run depends on (seed, t) alone, so a run resumes at any step exactly.

B images in a batch; H x W pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Dataset

from unipan.choices import Faulty
from unipan.classes import VOID
from unipan.data.dataset import PanopticDataset
from unipan.data.training_item import TrainingItem, training_item
from unipan.data.transforms import Augmentation
from unipan.data.workers import loaded
from unipan.errors import InputError
from unipan.types import Batch, Sample, Target

ORDER, CHANGE, DRAW = 0, 1, 2
"""What a random stream is for: the order of an epoch, the augmentation of a sample, or what its losses draw."""


MAX_FAULTY_IN_A_ROW = 100
"""So many samples one after the other are no accident: the data set is not where it should be."""


def collate(items: Sequence[TrainingItem]) -> Batch:
    """Pad images with zeros at the right and the bottom to the largest height and width among them.

    The targets are views of one tensor per kind, because each tensor with memory of its own that a worker passes stays an open
    file, and systems allow about a thousand of those.
    """
    sizes = tuple((item.image.shape[-2], item.image.shape[-1]) for item in items)
    targets = [item.target for item in items]
    height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
    images = torch.zeros(len(items), 3, height, width, dtype=torch.uint8)
    instances = torch.full((len(items), height, width), -1, dtype=torch.int32)
    semantic = torch.full((len(items), height, width), VOID, dtype=torch.int16)
    for position, (item, (h, w)) in enumerate(zip(items, sizes, strict=True)):
        images[position, :, :h, :w] = item.image
        instances[position, :h, :w] = item.target.instances
        semantic[position, :h, :w] = item.target.semantic
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
    skipped = tuple(complaint for item in items for complaint in item.skipped)
    return Batch(images=images, sizes=sizes, targets=views, names=tuple(item.name for item in items), skipped=skipped)


@lru_cache(maxsize=2)  # a batch may straddle two epochs
def epoch_order(length: int, seed: int, epoch: int) -> np.ndarray:
    """The order (length,) in which an epoch visits the data set."""
    return np.random.default_rng((seed, ORDER, epoch)).permutation(length)


@dataclass(frozen=True, kw_only=True)
class StepBatches(Dataset):
    """The endless sequence of batches, by step. Epochs follow one another without a gap: a batch may hold the seam of two.

    A faulty sample that stops the training gives its InputError as the value: raised in a worker, it would reach the user wrapped
    in a traceback. One that is skipped gives its place to the next readable sample in the epoch's order, which keeps its own
    place too: what a step holds still depends on (seed, step) and the files alone.
    """

    dataset: PanopticDataset
    augmentation: Augmentation
    min_thing_px: int
    batch_size: int
    """Samples of one step, over all processes."""
    seed: int
    process: int = 0
    """Which one of the equal, unbroken runs of each step's samples this process takes, from 0."""
    processes: int = 1
    faulty: Faulty = "stop"
    copy_paste: float = 0.0
    """Share of the samples that get things of another."""

    def __post_init__(self) -> None:
        if len(self.dataset) == 0:
            raise InputError("the training data set holds no images; check data.root and data.train_split.")
        if self.batch_size % self.processes:
            raise InputError(
                f"train.batch_size ({self.batch_size}) must be a multiple of the number of processes ({self.processes})."
            )

    def __getitem__(self, step: int) -> Batch | InputError:
        share = self.batch_size // self.processes
        first = step * self.batch_size + self.process * share
        try:
            return collate([self.item(index) for index in range(first, first + share)])
        except InputError as error:
            return error

    def item(self, index: int) -> TrainingItem:
        """The sample of this index, counted from the start of training."""
        sample, skipped = self._readable(index)
        random = np.random.default_rng((self.seed, CHANGE, index))
        seed = int(np.random.default_rng((self.seed, DRAW, index)).integers(2**62))
        giver = None
        if self.copy_paste and random.random() < self.copy_paste:
            giver, further = self._readable(int(random.integers(len(self.dataset))))
            skipped += further
        item = training_item(sample, self.augmentation, random, min_thing_px=self.min_thing_px, seed=seed, giver=giver)
        return item._replace(skipped=skipped)

    def _readable(self, index: int) -> tuple[Sample, tuple[str, ...]]:
        """The sample of this index or, by setting, the next that is not faulty; and what was wrong with those before it."""
        length = len(self.dataset)
        epoch, position = divmod(index, length)
        order = epoch_order(length, self.seed, epoch)
        complaints: list[str] = []
        for ahead in range(min(length, MAX_FAULTY_IN_A_ROW)):
            try:
                return self.dataset[int(order[(position + ahead) % length])], tuple(complaints)
            except InputError as error:
                if self.faulty == "stop":
                    raise InputError(f"{error} Mend the data, or leave faulty images out with --data.faulty skip.") from error
                if str(error) not in complaints:  # an image that comes more often may be met again at once
                    complaints.append(str(error))
        raise InputError(
            f"{len(complaints)} training images one after the other are faulty, and there is none to take in their place; "
            f"the first: {complaints[0]}"
        )


def training_batches(batches: StepBatches, steps: range, workers: int) -> Iterator[Batch]:
    """Yield this process's batches of these steps. `workers` processes load them, none for 0, and change nothing of them."""
    for batch in loaded(batches, steps, workers):
        if isinstance(batch, InputError):
            raise batch
        yield batch
