import os
from itertools import chain
from typing import Any

import pytest
import torch

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.data.dataset import PanopticDataset
from unipan.data.loader import StepBatches, collate, training_batches
from unipan.data.targets import make_target
from unipan.data.training_item import TrainingItem
from unipan.data.transforms import Augmentation
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map
from unipan.types import Batch, Sample

CLASSES = ClassTable((ClassInfo(name="cat", is_thing=True, dataset_id=1, color=(0, 0, 0), supercategory="cat"),))
CHANGES = Augmentation(short_side=12, long_side=0, scale_range=(1.0, 1.0), crop=(0, 0), flip=True, jitter=0.3)


class Images:
    """`length` images of different sizes with one thing each; the one at `broken` can't be read."""

    def __init__(self, length: int, broken: int = -1) -> None:
        self.classes, self.length, self.broken = CLASSES, length, broken

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken:
            raise InputError(f"cannot read {index}.jpg.")
        height, width = 8 + index, 11
        ids = torch.zeros(height, width, dtype=torch.int32)
        ids[2:7, 1:6] = index + 1
        image = torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(index), dtype=torch.uint8)
        truth = panoptic_map(ids, [Label(index + 1, 0)], CLASSES)
        return Sample(image=image, truth=truth, image_id=index, file_name=f"{index}.jpg")


def batches(dataset: PanopticDataset, *, workers: int = 0, start_step: int = 0, steps: int = 8, **other: Any) -> list[Batch]:
    settings: dict[str, Any] = {"batch_size": 3, "seed": 5, "min_thing_px": 1} | other
    share = StepBatches(dataset=dataset, augmentation=CHANGES, **settings)
    return list(training_batches(share, range(start_step, steps), workers))


def same(one: Batch, other: Batch) -> bool:
    targets = [chain.from_iterable(vars(target).values() for target in batch.targets) for batch in (one, other)]
    tensors = [[batch.images, *map(torch.as_tensor, own)] for batch, own in zip((one, other), targets, strict=True)]
    equal = all(torch.equal(a, b) for a, b in zip(*tensors, strict=True))
    return equal and one.names == other.names and one.sizes == other.sizes


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_gives_the_tail_of_the_whole_run(workers: int) -> None:
    whole = batches(Images(5))
    resumed = batches(Images(5), workers=workers, start_step=5)
    assert len(resumed) == 3
    assert all(same(a, b) for a, b in zip(whole[5:], resumed, strict=True))


def test_workers_and_the_global_generator_change_nothing() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    alone = batches(Images(5))
    shared = batches(Images(5), workers=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(same(a, b) for a, b in zip(alone, shared, strict=True))


def test_more_workers_than_cores_are_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    batches(Images(5), workers=(os.cpu_count() or 1) + 1, steps=1)
    assert not recwarn.list


def test_a_second_iteration_gives_the_same_batches() -> None:
    first = batches(Images(5), workers=2)
    assert all(same(a, b) for a, b in zip(first, batches(Images(5), workers=2), strict=True))


def test_epochs_follow_without_a_gap_and_in_new_orders() -> None:
    names = [name for batch in batches(Images(7), steps=7) for name in batch.names]
    epochs = [names[:7], names[7:14], names[14:]]
    assert all(sorted(epoch) == [f"{index}.jpg" for index in range(7)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_seeds_differ_and_so_do_the_visits_to_one_image() -> None:
    assert [b.names for b in batches(Images(7))] != [b.names for b in batches(Images(7), seed=6)]
    visits = [batch.images for batch in batches(Images(1), steps=2, batch_size=1)]
    assert not torch.equal(*visits)


def test_one_image_fills_a_batch_of_any_size() -> None:
    (batch,) = batches(Images(1), steps=1, batch_size=4)
    assert batch.names == ("0.jpg",) * 4


def test_processes_share_each_step() -> None:
    whole = batches(Images(5), batch_size=4)
    parts = [batches(Images(5), batch_size=4, process=process, processes=2) for process in range(2)]
    for step, batch in enumerate(whole):
        assert parts[0][step].names + parts[1][step].names == batch.names
    with pytest.raises(InputError, match=r"batch_size \(3\) must be a multiple of the number of processes \(2\)"):
        batches(Images(5), batch_size=3, process=0, processes=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_user_sees_the_plain_message_of_a_broken_image(workers: int) -> None:
    with pytest.raises(InputError) as caught:
        batches(Images(4, broken=2), workers=workers)
    assert str(caught.value).startswith("cannot read 2.jpg. Mend the data, or")


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(InputError, match="holds no images"):
        batches(Images(0))


def test_collate_pads_at_the_right_and_the_bottom() -> None:
    items = []
    for index in (0, 3):
        sample = Images(4)[index]
        items.append(TrainingItem(sample.image, make_target(sample.truth, min_thing_px=1), sample.file_name))
    empty = panoptic_map(torch.zeros(4, 20, dtype=torch.int32), [], CLASSES)
    items.append(TrainingItem(torch.ones(3, 4, 20, dtype=torch.uint8), make_target(empty, min_thing_px=1), "empty"))
    batch = collate(items)
    assert batch.images.shape == (3, 3, 11, 20)
    assert batch.sizes == ((8, 11), (11, 11), (4, 20))
    assert batch.images.dtype == torch.uint8, "a quarter of the floats on the way"
    assert batch.images[0, :, 8:].sum() + batch.images[0, :, :, 11:].sum() == 0
    for item, (height, width), target, image in zip(items, batch.sizes, batch.targets, batch.images, strict=True):
        assert torch.equal(image[:, :height, :width], item.image)
        assert torch.equal(target.instances, item.target.instances)
        assert torch.equal(target.semantic, item.target.semantic)
        assert torch.equal(target.boxes, item.target.boxes)
        assert torch.equal(target.labels, item.target.labels)
    assert (batch.targets[2].semantic == VOID).all()
