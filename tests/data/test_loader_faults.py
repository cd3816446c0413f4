"""Faulty samples, dying workers, and the memory that a loader takes."""

import gc
import os
import signal
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from unipan.classes import ClassInfo, ClassTable
from unipan.data import workers
from unipan.data.dataset import PanopticDataset
from unipan.data.loader import MAX_FAULTY_IN_A_ROW, StepBatches, epoch_order, training_batches
from unipan.data.transforms import Augmentation
from unipan.data.workers import dead_workers_named, loaded
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map
from unipan.types import Batch, Sample

CLASSES = ClassTable((ClassInfo(name="cat", is_thing=True, dataset_id=1, color=(0, 0, 0), supercategory="cat"),))
CHANGES = Augmentation(short_side=0, long_side=0, scale_range=(1.0, 1.0), crop=(0, 0), flip=True, jitter=0.3)
SEED = 5


class Images:
    """`length` images with one thing each; those in `broken` can't be read, at the one in `deadly` the process dies."""

    def __init__(self, length: int, broken: frozenset[int] = frozenset(), deadly: int = -1, side: int = 12) -> None:
        self.classes, self.length, self.broken, self.deadly, self.side = CLASSES, length, broken, deadly, side

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int, /) -> Sample:
        if index in self.broken:
            raise InputError(f"cannot read {index}.jpg.")
        if index == self.deadly:
            self.die()
        ids = torch.ones(self.side, self.side, dtype=torch.int32)
        image = torch.full((3, self.side, self.side), index % 256, dtype=torch.uint8)
        return Sample(image=image, truth=panoptic_map(ids, [Label(1, 0)], CLASSES), image_id=index, file_name=f"{index}.jpg")

    def die(self) -> None:
        os._exit(3)


class Killed(Images):
    """As by the system when the memory runs out."""

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def batches(dataset: PanopticDataset, *, workers: int = 0, start_step: int = 0, steps: int = 8, **other: Any) -> list[Batch]:
    settings: dict[str, Any] = {"batch_size": 3, "seed": SEED, "min_thing_px": 1, "faulty": "skip"} | other
    share = StepBatches(dataset=dataset, augmentation=CHANGES, **settings)
    with dead_workers_named():
        return list(training_batches(share, range(start_step, steps), workers))


def equal(one: list[Batch], other: list[Batch]) -> bool:
    return all(
        a.names == b.names and a.skipped == b.skipped and torch.equal(a.images, b.images) for a, b in zip(one, other, strict=True)
    )


def test_a_faulty_sample_gives_its_place_to_the_next_readable_one() -> None:
    broken = frozenset({1, 4, 5})
    drawn = batches(Images(7, broken), steps=14, batch_size=1)
    for number, batch in enumerate(drawn):
        epoch, position = divmod(number, 7)
        order = epoch_order(7, SEED, epoch).tolist()
        visited = (order[position:] + order[:position])[:4]  # 3 are faulty: one of 4 in a row is not
        first = next(at for at, index in enumerate(visited) if index not in broken)
        assert batch.names == (f"{visited[first]}.jpg",)
        assert batch.skipped == tuple(f"cannot read {index}.jpg." for index in visited[:first])
    assert sum(bool(batch.skipped) for batch in drawn) == 2 * 3


def test_turns_of_sound_samples_do_not_notice_the_faulty_ones() -> None:
    sound, faulty = batches(Images(7), steps=14, batch_size=1), batches(Images(7, frozenset({2})), steps=14, batch_size=1)
    untouched = [position for position, batch in enumerate(faulty) if not batch.skipped]
    assert len(untouched) == 12
    assert equal([sound[position] for position in untouched], [faulty[position] for position in untouched])


def test_skipping_depends_neither_on_workers_nor_on_where_a_run_goes_on_nor_on_processes() -> None:
    dataset = Images(5, frozenset({0, 3}))
    whole = batches(dataset, batch_size=4)
    assert any(batch.skipped for batch in whole)
    assert equal(whole, batches(dataset, batch_size=4, workers=2))
    assert equal(whole[5:], batches(dataset, batch_size=4, workers=2, start_step=5))
    halves = [batches(dataset, batch_size=4, process=process, processes=2) for process in range(2)]
    for step, batch in enumerate(whole):
        assert halves[0][step].names == batch.names[:2]
        assert halves[1][step].names == batch.names[2:]
        assert sorted(halves[0][step].skipped + halves[1][step].skipped) == sorted(batch.skipped)


def test_what_was_skipped_travels_with_the_batch() -> None:
    (batch,) = batches(Images(2, frozenset({0})), steps=1, batch_size=2)
    assert batch.to("cpu").skipped == ("cannot read 0.jpg.",)
    assert batch.names == ("1.jpg", "1.jpg")


@pytest.mark.parametrize("workers", [0, 1])
def test_where_nothing_is_left_training_stops(workers: int) -> None:
    with pytest.raises(InputError, match=r"3 training images one after the other are faulty.*cannot read \d\.jpg"):
        batches(Images(3, frozenset(range(3))), workers=workers)


def test_so_many_faults_in_a_row_are_no_accident() -> None:
    length = 2 * MAX_FAULTY_IN_A_ROW
    with pytest.raises(InputError, match=f"{MAX_FAULTY_IN_A_ROW} training images"):
        batches(Images(length, frozenset(range(length))), steps=1)


@pytest.mark.parametrize("dataset", [Images, Killed])
def test_a_dead_worker_is_named_in_a_sentence(dataset: type[Images]) -> None:
    with pytest.raises(InputError, match=r"loads training data has died \(DataLoader worker.*train\.workers") as caught:
        batches(dataset(5, deadly=2), workers=2)
    assert "\n" not in str(caught.value)


class BreaksInTransit:
    """An entry that can't be read where it arrives, as when its sender dies on the way; it dies a little later, if at all."""

    def __init__(self, dies: bool) -> None:
        self.sender = os.getpid() if dies else 0

    def __reduce__(self) -> tuple[Any, ...]:
        return break_in_transit, (self.sender,)


def break_in_transit(sender: int) -> None:
    if sender:
        threading.Timer(0.3, os.kill, (sender, signal.SIGKILL)).start()
    raise ConnectionResetError("Connection reset by peer")


class InTransit(Dataset):
    def __init__(self, dies: bool) -> None:
        self.dies = dies

    def __getitem__(self, step: int) -> BreaksInTransit:
        return BreaksInTransit(self.dies)


def test_a_connection_that_breaks_before_the_death_is_told_is_that_death() -> None:
    with pytest.raises(InputError, match=r"has died \(DataLoader worker.*Killed"), dead_workers_named():
        next(loaded(InTransit(dies=True), range(4), workers=1))


def test_a_connection_that_breaks_by_itself_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "NEWS_S", 0.01)
    with pytest.raises(ConnectionResetError), dead_workers_named():
        next(loaded(InTransit(dies=False), range(4), workers=1))


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="of ours"), dead_workers_named():
        raise RuntimeError("a fault of ours")


def test_memory_does_not_grow_with_the_images_that_were_drawn() -> None:
    """Neither what Python and numpy hold, which can be traced, nor the whole process: keeping every image would show."""
    settings: dict[str, Any] = {"min_thing_px": 1, "batch_size": 2, "seed": SEED, "process": 0, "processes": 1, "faulty": "skip"}
    batches = StepBatches(dataset=Images(1000, frozenset({7, 8}), side=256), augmentation=CHANGES, **settings)
    traced: list[int] = []
    resident: list[int] = []
    tracemalloc.start()
    try:
        for step in range(120):
            if step in (20, 119):
                gc.collect()
                traced.append(tracemalloc.get_traced_memory()[0])
                resident.append(resident_bytes())
            batches[step]
    finally:
        tracemalloc.stop()
    drawn = 99 * 2 * 3 * 256 * 256  # bytes of the images between the two readings
    assert traced[1] - traced[0] < drawn / 10
    assert resident[1] - resident[0] < drawn / 2  # the allocator keeps some of what it has freed


def resident_bytes() -> int:
    """Of this process: PyTorch's memory is not among what Python traces."""
    numbers = Path("/proc/self/statm")
    if not numbers.exists():
        pytest.skip("no /proc/self/statm: only Linux tells a process its memory in that way")
    return int(numbers.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
