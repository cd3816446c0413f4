"""Cityscapes from its download equals its own label files, and what is wrong with a folder is said in a sentence."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cityscapes_files import OFFICIAL, write_download
from PIL import Image

from unipan.data.cityscapes import Cityscapes
from unipan.data.cityscapes_labels import CITYSCAPES
from unipan.errors import InputError
from unipan.tools.doctor.cityscapes import frames
from unipan.types import PanopticMap

THINGS = {24, 25, 26, 27, 28, 31, 32, 33}
EVALUATED = THINGS | {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23}


def read_plainly(stem: Path) -> tuple[int, dict[int, tuple[int, bool, int]]]:
    """Void pixels and {id: (label, crowd, area)}; the label of each segment is read from the *_labelIds.png."""
    instances = np.array(Image.open(f"{stem}_instanceIds.png"))
    labels = np.array(Image.open(f"{stem}_labelIds.png"))
    segments, void = {}, int((~np.isin(labels, list(EVALUATED))).sum())
    for value in np.unique(instances).tolist():
        mask = instances == value
        (label,) = np.unique(labels[mask]).tolist()
        if label in EVALUATED:
            segments[value] = label, label in THINGS and value < 1000, int(mask.sum())
    return void, segments


def as_read(truth: PanopticMap) -> tuple[int, dict[int, tuple[int, bool, int]]]:
    segments = {s.id: (CITYSCAPES[s.class_index].dataset_id, s.is_crowd, s.area) for s in truth.segments}
    return int((truth.ids == 0).sum()), segments


def test_the_sample_equals_a_plain_reader(sample_data: Path) -> None:
    root = sample_data / "cityscapes-sample"
    sample = Cityscapes(root, "val", merge="none")[0]
    stem = root / "gtFine/val/frankfurt/frankfurt_000000_000294_gtFine"
    void, segments = read_plainly(stem)
    assert as_read(sample.truth) == (void, segments)
    assert void > 0
    assert len(segments) == 15
    assert (sample.image_id, sample.image.shape) == ("frankfurt_000000_000294", (3, 128, 256))
    train_ids = np.array(Image.open(f"{stem}_labelTrainIds.png"))  # a class's index is its train id
    classes = np.full(train_ids.shape, 255)
    for segment in sample.truth.segments:
        classes[(sample.truth.ids == segment.id).numpy()] = segment.class_index
    assert (classes != train_ids).mean() < 0.003  # 77 pixels on edges: the sample's label files were scaled down one by one


def test_groups_are_crowds_and_labels_without_a_class_are_void(tmp_path: Path) -> None:
    dataset = Cityscapes(write_download(tmp_path), "val", merge="none")
    samples = [dataset[position] for position in range(len(dataset))]
    assert [sample.image_id for sample in samples] == ["aachen_000001_000019", "bochum_000000_000313"]
    assert [int(sample.image[0, 0, 0]) for sample in samples] == [6, 4]
    assert as_read(samples[0].truth)[1] == {
        7: (7, False, 6),
        11: (11, False, 2),
        23: (23, False, 4),
        26: (26, True, 2),
        24000: (24, False, 2),
        26001: (26, False, 2),
        26002: (26, False, 1),
    }
    for sample in samples:
        assert as_read(sample.truth) == read_plainly(
            tmp_path / "gtFine/val" / sample.file_name.replace("_leftImg8bit.png", "_gtFine")
        )


def test_the_class_table() -> None:
    assert {info.dataset_id for info in CITYSCAPES.classes} == EVALUATED
    assert {info.dataset_id for info in CITYSCAPES.classes if info.is_thing} == THINGS
    for label, (train_id, name, is_thing) in OFFICIAL.items():
        info = CITYSCAPES[train_id]
        assert (info.dataset_id, info.name, info.is_thing) == (label, name, bool(is_thing))


def test_merging_joins_what_is_of_one_kind(tmp_path: Path) -> None:
    merged = Cityscapes(write_download(tmp_path), "val", merge="supercategory")
    assert [(info.name, info.is_thing) for info in merged.classes.classes] == [
        *((name, False) for name in ("flat", "construction", "object", "nature", "sky")),
        *((name, True) for name in ("human", "vehicle")),
    ]
    segments = {(s.name, s.id, s.is_crowd) for s in merged[1].truth.segments}
    assert {("human", 25000, False), ("human", 24, True), ("vehicle", 33007, False), ("flat", 7, False)} <= segments


def test_places_from_the_end_count_backwards(tmp_path: Path) -> None:
    dataset = Cityscapes(write_download(tmp_path), "val", merge="none")
    assert dataset[-1].image_id == dataset[1].image_id
    with pytest.raises(IndexError):
        dataset[2]


def truth_of(root: Path) -> Path:
    return root / "gtFine/val/aachen/aachen_000001_000019_gtFine_instanceIds.png"


FOLDERS: list[tuple[Callable[[Path], Path], str, str]] = [
    (lambda root: root, "test", "split test cannot be read: the test images' truth is not public. Choose train or val"),
    (lambda root: root, "train_extra", "train_extra has no fine truth, only coarse"),
    (lambda root: root, "train", r"leftImg8bit has no split train; found: val"),
    (lambda root: root / "leftImg8bit", "val", r"lies inside Cityscapes; .*: give .*\d"),
    (lambda root: root / "gtFine" / "val", "val", "lies inside Cityscapes"),
    (
        lambda root: root / "a/b/c",
        "val",
        "no folder .*leftImg8bit; data.root must be the folder that holds leftImg8bit/ and gtFine/",
    ),
]


@pytest.mark.parametrize(("choose", "split", "complaint"), FOLDERS)
def test_a_wrong_folder_or_split(tmp_path: Path, choose: Callable[[Path], Path], split: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Cityscapes(choose(write_download(tmp_path)), split, merge="none")


def test_an_archive_that_is_still_packed_is_named(tmp_path: Path) -> None:
    shutil.rmtree(write_download(tmp_path) / "gtFine")
    with pytest.raises(InputError, match=r"no folder .*gtFine.*: unpack gtFine_trainvaltest\.zip there, or"):
        Cityscapes(tmp_path, "val", merge="none")
    (tmp_path / "gtFine_trainvaltest (1).zip").touch()
    with pytest.raises(InputError, match=r"unpack gtFine_trainvaltest \(1\).zip there\."):
        Cityscapes(tmp_path, "val", merge="none")


def test_images_and_truth_are_partners(tmp_path: Path) -> None:
    truth_of(write_download(tmp_path)).unlink()
    with pytest.raises(
        InputError, match=r"gtFine/val lacks 1 of the 2 files that belong there: aachen/aachen_000001_000019_gtFine"
    ):
        Cityscapes(tmp_path, "val", merge="none")
    shutil.rmtree(tmp_path / "leftImg8bit/val/aachen")
    shutil.rmtree(tmp_path / "leftImg8bit/val/bochum")
    with pytest.raises(InputError, match=r"leftImg8bit/val holds no CITY/\*_leftImg8bit.png"):
        Cityscapes(tmp_path, "val", merge="none")


def test_a_truth_that_cannot_be_read_is_told_from_one_that_can(tmp_path: Path) -> None:
    truth = truth_of(write_download(tmp_path))
    whole = Cityscapes(tmp_path, "val", merge="none").truth_facts()
    truth.unlink()
    truth.symlink_to("gone")
    assert Cityscapes(tmp_path, "val", merge="none").truth_facts()["sha256"] != whole["sha256"]


def save_values(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(path)


CONTENTS: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.write_bytes(path.read_bytes()[:60]), "cannot read .*instanceIds.png"),
    (lambda path: save_values(path, np.zeros((4, 6), np.uint8)), "a PNG file of mode L; .* 16-bit"),
    (
        lambda path: save_values(path, np.full((4, 6), 40_001, np.uint16)),
        "value 40001, which stands for the label 40; .* 0 to 33",
    ),
    (lambda path: save_values(path, np.full((4, 5), 7, np.uint16)), "leftImg8bit.png is 6x4 but .*instanceIds.png is 5x4"),
]


@pytest.mark.parametrize(("damage", "complaint"), CONTENTS)
def test_a_damaged_truth_names_its_file(tmp_path: Path, damage: Callable[[Path], object], complaint: str) -> None:
    dataset = Cityscapes(write_download(tmp_path), "val", merge="none")
    damage(truth_of(tmp_path))
    with pytest.raises(InputError, match=complaint):
        dataset[0]
    assert torch.equal(dataset[1].truth.ids, Cityscapes(tmp_path, "val", merge="none")[1].truth.ids)


def test_names_that_begin_with_a_dot_are_no_data(tmp_path: Path) -> None:
    root = write_download(tmp_path)
    for file in [*root.rglob("*_leftImg8bit.png"), *root.rglob("*_instanceIds.png")]:
        file.with_name(f"._{file.name}").write_bytes(b"left by a system")
    assert len(Cityscapes(root, "val", merge="none")) == len(frames(root, "val")) == 2
