"""Copy-paste against a pixel-by-pixel oracle and hand-drawn cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unipan.classes import ClassInfo, ClassTable
from unipan.config import DataConfig
from unipan.data import paste
from unipan.data.loader import StepBatches
from unipan.data.paste import paste_things
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.targets import make_target
from unipan.data.transforms import Augmentation
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=is_thing, dataset_id=number, color=(0, 0, 0), supercategory=name)
        for number, (name, is_thing) in enumerate([("sky", False), ("cat", True)], start=1)
    )
)
SKY, CAT = 0, 1


def drawn(rows: str, value: int) -> tuple[torch.Tensor, PanopticMap]:
    """An image of one gray and its truth: "." is sky, a letter a cat (c is a crowd), a blank void."""
    names = sorted(set(rows) - set(" .|"))
    ids = torch.tensor([[0 if c == " " else 1 if c == "." else 2 + names.index(c) for c in row] for row in rows.split("|")])
    labels = [Label(1, SKY), *(Label(2 + k, CAT, is_crowd=name == "c") for k, name in enumerate(names))]
    present = [label for label in labels if (ids == label.id).any()]
    return torch.full((3, *ids.shape), value, dtype=torch.uint8), panoptic_map(ids.int(), present, CLASSES)


@pytest.fixture
def every_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paste, "SHARE", 1.0)


@pytest.mark.usefixtures("every_thing")
def test_a_thing_lies_in_front_and_stuff_void_and_crowds_stay_behind() -> None:
    image, truth = drawn("aa..|aa.b|....", 10)
    giver_image, giver = drawn(".ccc|xx.y|  yy", 200)
    pasted, found = paste_things(image, truth, giver_image, giver, np.random.default_rng(0))
    names = {segment.id: position for position, segment in enumerate(found.segments)}
    assert [segment.class_index for segment in found.segments] == [SKY, CAT, CAT, CAT, CAT]
    as_text = "|".join("".join(".abxy"[names[int(i)]] for i in row) for row in found.ids)
    assert as_text == "aa..|xx.y|..yy"
    expected = torch.tensor([[10, 10, 10, 10], [200, 200, 10, 200], [10, 10, 200, 200]])
    assert torch.equal(pasted, expected.to(torch.uint8).expand(3, -1, -1))


@pytest.mark.usefixtures("every_thing")
def test_a_thing_that_is_hidden_now_is_no_thing_to_learn() -> None:
    image, truth = drawn("aa.|aa.", 0)
    pasted, found = paste_things(image, truth, *drawn("xx.|xx.", 9), np.random.default_rng(0))
    target = make_target(found, min_thing_px=1)
    assert target.boxes.tolist() == [[0, 0, 2, 2]]
    assert pasted[0].tolist() == [[9, 9, 0], [9, 9, 0]]


def test_inputs_are_left_alone() -> None:
    image, truth = drawn("aa..|....", 10)
    giver_image, giver = drawn("xx..|.yy.", 200)
    copies = [tensor.clone() for tensor in (image, truth.ids, giver_image, giver.ids)]
    for seed in range(5):
        paste_things(image, truth, giver_image, giver, np.random.default_rng(seed))
    assert all(torch.equal(a, b) for a, b in zip(copies, (image, truth.ids, giver_image, giver.ids), strict=True))


sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


@settings(max_examples=80, deadline=None)
@given(sizes, sizes, st.integers(0, 1000))
def test_every_pixel_is_the_base_s_or_the_giver_s(size: tuple[int, int], giver_size: tuple[int, int], seed: int) -> None:
    """A pixel tells by its color which image it is of, and where it stood there; its id must tell the same."""
    random = np.random.default_rng(seed)

    def numbered(height: int, width: int, things: int, blue: int) -> tuple[torch.Tensor, PanopticMap]:
        ids = torch.from_numpy(random.integers(0, things + 2, (height, width)).astype(np.int32))
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        labels = [Label(number, SKY if number == 1 else CAT) for number in range(1, things + 2) if (ids == number).any()]
        return torch.stack([rows, columns, torch.full_like(rows, blue)]).to(torch.uint8), panoptic_map(ids, labels, CLASSES)

    image, truth = numbered(*size, things=3, blue=0)
    giver_image, giver = numbered(*giver_size, things=4, blue=1)
    pasted, found = paste_things(image, truth, giver_image, giver, random)
    assert found.ids.shape == size
    base = 1 + max((segment.id for segment in truth.segments), default=0)
    new = {segment.id: segment for segment in found.segments if segment.id >= base}
    came_from: dict[int, set[int]] = {}
    shifts = set()
    for row in range(size[0]):
        for column in range(size[1]):
            y, x, of_giver = (int(value) for value in pasted[:, row, column])
            number = int(found.ids[row, column])
            if of_giver:
                shifts.add((y - row, x - column))
                assert number in new
                came_from.setdefault(number, set()).add(int(giver.ids[y, x]))
            else:
                assert (y, x) == (row, column)
                assert number == int(truth.ids[row, column])
                assert number < base
    assert len(shifts) <= 1, "things keep their places among each other"
    assert set(came_from) == set(new)
    assert all(len(ids) == 1 and ids != {1} for ids in came_from.values()), "each is one thing, and no stuff comes along"
    if shifts:  # what was chosen is there whole, as far as the two images overlap
        dy, dx = shifts.pop()
        for ids in came_from.values():
            ys, xs = torch.where(giver.ids == next(iter(ids)))
            inside = [(y - dy, x - dx) for y, x in zip(ys.tolist(), xs.tolist(), strict=True)]
            assert all(pasted[2, r, c] == 1 for r, c in inside if 0 <= r < size[0] and 0 <= c < size[1])


def batches(share: float, *, length: int = 50) -> StepBatches:
    change = Augmentation(short_side=0, long_side=0, scale_range=(1.0, 1.0), crop=(0, 0), flip=True, jitter=0.1)
    scenes = SceneDataset(difficulty="standard", size=(48, 64), seed=1, length=length)
    return StepBatches(
        dataset=scenes, augmentation=change, min_thing_px=4, batch_size=4, seed=3, process=0, processes=1, copy_paste=share
    )


def test_without_it_nothing_changes_and_with_it_there_are_more_things() -> None:
    plain, all_of_them, some = (batches(share) for share in (0.0, 1.0, 0.5))
    counts = {0.0: 0, 0.5: 0, 1.0: 0}
    for index in range(24):
        for share, source in ((0.0, plain), (0.5, some), (1.0, all_of_them)):
            counts[share] += len(source.item(index).target.labels)
        once, again = some.item(index), some.item(index)
        assert torch.equal(once.image, again.image), "the same index gives the same sample"
        assert torch.equal(once.target.instances, again.target.instances)
    assert counts[0.0] < counts[0.5] < counts[1.0]


def test_one_image_can_give_to_itself() -> None:
    assert len(batches(1.0, length=1).item(0).target.labels) >= 0


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"data\.copy_paste is .*; it must lie in \[0, 1\]"):
        replace(DataConfig(), copy_paste=share)
