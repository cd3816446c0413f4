"""Images of rare classes come more often in training, by the published factors."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cityscapes_files import write_download
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unipan.choices import Merge
from unipan.classes import ClassInfo, ClassTable
from unipan.cli import main
from unipan.config import Config, DataConfig, TrainConfig
from unipan.data.build import step_batches, training_dataset
from unipan.data.cityscapes import Cityscapes
from unipan.data.coco import CocoPanoptic, coco_split
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.repeats import repeat_factors, repeated
from unipan.data.shards import Shards
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name != "sky", color=(index, 0, 0), dataset_id=index + 1, supercategory=name[:3])
        for index, name in enumerate(("sky", "cat", "cattle", "owl"))
    )
)


@given(st.lists(st.sets(st.integers(0, 6)), min_size=1, max_size=12), st.floats(0.01, 1))
def test_factors_are_the_published_ones(images: list[set[int]], threshold: float) -> None:
    pairs = np.array([(image, c) for image, classes in enumerate(images) for c in classes], dtype=np.int64).reshape(-1, 2)
    factors = repeat_factors(pairs[:, 0], pairs[:, 1], len(images), threshold)
    for factor, classes in zip(factors.tolist(), images, strict=True):
        shares = [sum(c in other for other in images) / len(images) for c in classes]
        assert factor == pytest.approx(max([1.0, *((threshold / share) ** 0.5 for share in shares)]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight images with sky; the third holds a cat, the sixth an owl and a crowd of cattle, two more cattle."""
    things = {2: [(1, False)], 5: [(3, False), (2, True)], 6: [(2, False)], 7: [(2, False)]}
    images, entries = tmp_path / "train2017", []
    images.mkdir()
    for image in range(8):
        labels = [Label(1, 0)] + [Label(2 + i, c, crowd) for i, (c, crowd) in enumerate(things.get(image, []))]
        ids = torch.arange(32).view(1, -1).expand(32, -1) // 8 % len(labels) + 1
        Image.new("RGB", (32, 32), (image, 0, 0)).save(images / f"{image}.png")
        entries.append(Entry(image, f"{image}.png", panoptic_map(ids.int(), labels, CLASSES)))
    names = {"json_name": "panoptic_train2017.json", "png_folder": "panoptic_train2017"}
    write_panoptic(tmp_path / "annotations", entries, CLASSES, **names, scores=False)
    return tmp_path


def check_classes(dataset: CocoPanoptic | Cityscapes | Shards) -> None:
    """What is said of each image is what its truth holds."""
    for index in (*range(len(dataset)), -1):
        expected = {segment.class_index for segment in dataset[index].truth.segments if not segment.is_crowd}
        assert dataset.classes_of(index) == expected


@pytest.mark.parametrize("merge", ["none", "supercategory"])
def test_classes_are_read_without_the_images(root: Path, merge: Merge) -> None:
    json_path = root / "annotations" / "panoptic_train2017.json"
    main(["convert", "shards", str(json_path), "--images", str(root / "train2017"), "--out", str(root / "shards")])
    for dataset in (coco_split(root, "train2017", merge=merge), Shards(root / "shards", "train2017", merge=merge)):
        check_classes(dataset)
    assert [sorted(dataset.classes_of(index)) for index in (2, 5)] == [[0, 1], [0, 2 if merge == "supercategory" else 3]]
    check_classes(Cityscapes(write_download(root / "cityscapes"), "val", merge=merge))


def shown(root: Path, threshold: float, steps: int) -> Counter[str]:
    """How often each image is shown in so many steps of two."""
    data = DataConfig(source="coco", root=str(root), repeat_threshold=threshold)
    share = step_batches(Config(data=data, train=TrainConfig(batch_size=2)), training_dataset(data, 0))
    return Counter(share.item(index).name.removesuffix(".png") for index in range(2 * steps))


def test_an_epoch_shows_images_of_rare_classes_more_often(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    # Shares: sky 1, cat and owl 1/8, cattle 2/8 (a crowd is none). Factors by 1/2: 2 for the cat and the owl, 1.4 for cattle,
    # in halves 1.5.
    assert shown(root, 0.5, 11) == {"2": 4, "5": 4, "6": 3, "7": 3} | dict.fromkeys("0134", 2)
    assert "4 of 8 images come more often, for their rarer classes, up to 2 times" in caplog.text
    assert shown(root, 0.0, 8) == dict.fromkeys("01234567", 2)
    assert shown(root, 0.1, 8) == dict.fromkeys("01234567", 2)  # no class is as rare as that


def test_things_are_copied_from_them_more_often_too(root: Path) -> None:
    data = DataConfig(source="coco", root=str(root), repeat_threshold=0.5, copy_paste=1.0, flip=False)
    share = step_batches(Config(data=data, train=TrainConfig(batch_size=2)), training_dataset(data, 0))
    assert len(share.dataset) == 22
    labels = [label for index in range(400) for label in share.item(index).target.labels.tolist()]
    plain = step_batches(Config(data=replace(data, repeat_threshold=0.0)), training_dataset(data, 0))
    before = [label for index in range(400) for label in plain.item(index).target.labels.tolist()]
    assert labels.count(1) > 1.2 * before.count(1)
    assert labels.count(3) > 1.2 * before.count(3)


def test_an_annotation_that_cannot_be_read_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, real = coco_split(root, "train2017", merge="none"), CocoPanoptic.classes_of

    def classes_of(self: CocoPanoptic, index: int) -> set[int]:
        if index == 2:
            raise InputError("2.json is cut off.")
        return real(self, index)

    monkeypatch.setattr(CocoPanoptic, "classes_of", classes_of)
    with pytest.raises(InputError, match=r"^2\.json is cut off\. Mend the data, or leave .* out with --data\.faulty skip"):
        repeated(dataset, 0.5)
    assert len(repeated(dataset, 0.5, "skip")) == 2 * 8 + 2 + 1 + 1, "it comes as often as most"
    assert "not counted: the classes of 1 image (data.repeat_threshold); 2.json is cut off." in caplog.text


def test_a_faulty_image_is_counted_once_however_often_it_comes(root: Path) -> None:
    for image in (root / "train2017").iterdir():
        image.write_bytes(b"")
    data = DataConfig(source="coco", root=str(root), repeat_threshold=0.5, faulty="skip")
    share = step_batches(Config(data=data, train=TrainConfig(batch_size=2)), training_dataset(data, 0))
    with pytest.raises(InputError, match=r"^8 training images one after the other are faulty"):
        share.item(0)


def test_scenes_have_no_rare_classes() -> None:
    data = DataConfig(repeat_threshold=0.5)
    dataset = training_dataset(data, 0)
    assert step_batches(Config(data=data), dataset).dataset is dataset


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_share_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match=r"data\.repeat_threshold is .*; it must lie in \[0, 1\]"):
        DataConfig(repeat_threshold=threshold)
