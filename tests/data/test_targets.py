from dataclasses import replace
from pathlib import Path

import torch

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.data.coco import coco_split
from unipan.data.targets import make_target
from unipan.ops.segments import Label, panoptic_map


def info(name: str, number: int, *, is_thing: bool) -> ClassInfo:
    return ClassInfo(name=name, is_thing=is_thing, dataset_id=number, color=(0, 0, 0), supercategory=name)


CLASSES = ClassTable((info("sky", 1, is_thing=False), info("cat", 2, is_thing=True), info("dog", 3, is_thing=True)))


def test_every_kind_of_segment() -> None:
    ids = torch.tensor(
        [
            [0, 9, 9, 5, 5],
            [0, 9, 9, 5, 7],
            [3, 3, 3, 3, 7],
        ],
        dtype=torch.int32,
    )
    labels = [Label(9, 1), Label(5, 2), Label(7, 1, is_crowd=True), Label(3, 0)]
    target = make_target(panoptic_map(ids, labels, CLASSES), min_thing_px=4)
    assert target.boxes.tolist() == [[1, 0, 3, 2]]  # the dog has only 3 pixels, the crowd is no instance
    assert target.boxes.dtype == torch.float32
    assert target.labels.tolist() == [1]
    assert target.labels.dtype == torch.int64
    assert target.instances.tolist() == [[-1, 0, 0, -1, -1], [-1, 0, 0, -1, -1], [-1] * 5]
    assert target.instances.dtype == torch.int32
    assert target.semantic.tolist() == [[VOID, 1, 1, VOID, VOID], [VOID, 1, 1, VOID, 1], [0, 0, 0, 0, 1]]
    assert target.semantic.dtype == torch.int16


def test_segments_that_augmentation_has_removed_leave_no_box() -> None:
    whole = panoptic_map(torch.tensor([[4, 6]], dtype=torch.int32), [Label(4, 1), Label(6, 2)], CLASSES)
    target = make_target(replace(whole, ids=torch.tensor([[6, 6]], dtype=torch.int32)), min_thing_px=0)
    assert target.boxes.tolist() == [[0, 0, 2, 1]]
    assert target.labels.tolist() == [2]
    assert target.instances.tolist() == [[0, 0]]


def test_no_segments_at_all() -> None:
    target = make_target(panoptic_map(torch.zeros(2, 3, dtype=torch.int32), [], CLASSES), min_thing_px=4)
    assert target.boxes.shape == (0, 4)
    assert target.labels.shape == (0,)
    assert (target.instances == -1).all()
    assert (target.semantic == VOID).all()


def test_real_truth_agrees_with_one_mask_for_each_segment(sample_data: Path) -> None:
    dataset = coco_split(sample_data / "coco-mini", "val2017", merge="none")
    for position in range(0, 50, 16):
        truth = dataset[position].truth
        target = make_target(truth, min_thing_px=100)
        things = [s for s in truth.segments if s.is_thing and not s.is_crowd and s.area >= 100]
        assert target.labels.tolist() == [segment.class_index for segment in things]
        assert target.boxes.tolist() == [list(segment.box) for segment in things]
        for number, segment in enumerate(things):
            assert torch.equal(target.instances == number, truth.ids == segment.id)
        for segment in truth.segments:
            tiny = segment.is_thing and not segment.is_crowd and segment.area < 100
            assert (target.semantic[truth.ids == segment.id] == (VOID if tiny else segment.class_index)).all()
