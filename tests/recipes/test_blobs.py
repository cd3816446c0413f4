"""The images of blobs that small trainings are judged on."""

from pathlib import Path

import numpy as np
import torch
from blobs import CLASSES, SIDE, entries, lay

from unipan.ops.images import read_image


def test_images_and_truth_are_the_same_each_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    first, again = (list(entries("choose", 2, 1, folder)) for folder in (one, other))
    assert [entry.file_name for entry in first] == ["choose-0000.png", "choose-0001.png"]
    for entry, twin in zip(first, again, strict=True):
        assert torch.equal(entry.panoptic.ids, twin.panoptic.ids)
        assert (one / entry.file_name).read_bytes() == (other / twin.file_name).read_bytes()
    assert not torch.equal(first[0].panoptic.ids, first[1].panoptic.ids)


def test_blobs_are_bright_and_each_a_thing_of_its_own(tmp_path: Path) -> None:
    (entry,) = entries("train", 1, 0, tmp_path)
    image = read_image(tmp_path / entry.file_name).float()
    things = [segment for segment in entry.panoptic.segments if CLASSES[segment.class_index].is_thing]
    assert len(things) >= 15
    background = image[0][entry.panoptic.ids == 1].mean()
    for segment in things:
        own = entry.panoptic.ids == segment.id
        assert own.sum() == segment.area > 60
        assert image[0][own].mean() > background + 15


def test_many_blobs_touch() -> None:
    ids = lay(np.random.default_rng(0))
    assert ids.shape == (SIDE, SIDE)
    pairs = zip(ids[:, :-1].ravel().tolist(), ids[:, 1:].ravel().tolist(), strict=True)
    touching = {id for left, right in pairs if 1 < left != right > 1 for id in (left, right)}
    assert len(touching) > ids.max() / 3
