"""The doctor on Cityscapes' own files: one clean frame, spoilt in one way each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unipan.data.build import remarks
from unipan.data.cityscapes import Cityscapes
from unipan.errors import InputError
from unipan.tools.doctor.cityscapes import check_frame, frames, label_faults
from unipan.tools.doctor.images import ImageCheck

STEM = "ulm_000001_000002"


def drawn() -> np.ndarray:
    """Sky, road, two cars, a group of cars, a person; the ego vehicle, which is not evaluated."""
    values = np.full((20, 30), 23)
    values[8:18] = 7
    values[9:13, 2:7], values[9:13, 9:14], values[14:17, 2:12] = 26_000, 26_001, 26
    values[5:9, 20:23] = 24_000
    values[18:] = 1
    return values


def save_truth(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values.astype(np.uint16)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for side in ("leftImg8bit", "gtFine"):
        (tmp_path / side / "val" / "ulm").mkdir(parents=True)
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(image(tmp_path))
    save_truth(truth(tmp_path), drawn())
    return tmp_path


def image(root: Path) -> Path:
    return root / "leftImg8bit" / "val" / "ulm" / f"{STEM}_leftImg8bit.png"


def truth(root: Path) -> Path:
    return root / "gtFine" / "val" / "ulm" / f"{STEM}_gtFine_instanceIds.png"


def look(root: Path) -> ImageCheck:
    (frame,) = frames(root, "val")
    return check_frame(root, "val", frame)


def test_a_clean_frame(root: Path) -> None:
    clean = look(root)
    assert clean.faults == []
    assert clean.usable
    values = drawn()
    assert dict(clean.pixels) == {
        23: (values == 23).sum(),
        7: (values == 7).sum(),
        26: np.isin(values, (26, 26_000, 26_001)).sum(),
        24: (values == 24_000).sum(),
    }
    assert (clean.void, len(clean.statistics.thing_sides), clean.crowds.total()) == (2 * 30, 3, 1)


def _with(change: Callable[[np.ndarray], object]) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        values = drawn()
        change(values)
        save_truth(truth(root), values)

    return plant


def _put(value: int) -> Callable[[np.ndarray], object]:
    return lambda values: values.__setitem__((slice(0, 2), slice(0, 3)), value)


CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no image": (lambda root: image(root).unlink(), ["image-missing"]),
    "no truth": (lambda root: truth(root).unlink(), ["png-missing"]),
    "cut truth": (lambda root: truth(root).write_bytes(truth(root).read_bytes()[:50]), ["png-unreadable"]),
    "8-bit truth": (lambda root: Image.fromarray(drawn().astype(np.uint8)).save(truth(root)), ["png-unreadable"]),
    "other size": (lambda root: save_truth(truth(root), drawn()[:, :-1]), ["size-image-png"]),
    "no such label": (_with(_put(60)), ["unknown-category"]),
    "no such label of an instance": (_with(_put(50_003)), ["unknown-category"]),
    "255 for unlabelled": (_with(_put(255)), ["train-ids"]),
    "an instance of a label without instances": (_with(_put(13_001)), ["train-ids"]),
    "all void": (_with(lambda values: values.fill(3)), ["empty-image"]),
    "mostly void": (_with(lambda values: values[5:].fill(3)), ["mostly-void"]),
    "one pixel": (_with(lambda values: values.__setitem__((0, 0), 33_000)), ["tiny-segment"]),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_found_and_it_alone(name: str, root: Path) -> None:
    plant, expected = CASES[name]
    plant(root)
    assert [fault.kind.slug for fault in look(root).faults] == expected


def test_a_split_without_sky_and_vehicles_may_be_in_train_ids() -> None:
    """0 to 18, or 1 to 19 with 0 for unlabelled, and none of the labels above."""
    assert [fault.kind.slug for fault in label_faults({0, 7, 13})] == ["perhaps-train-ids"]
    assert label_faults({7, 13, 23}) == []
    assert label_faults(set()) == []


def test_training_asks_before_it_takes_train_ids_for_label_ids(root: Path) -> None:
    values = drawn()
    values[:] = 7
    save_truth(truth(root), values)
    dataset = Cityscapes(root, "val", merge="none")
    assert "may be train ids" in remarks(dataset)[0]
    values[0] = 13_000
    save_truth(truth(root), values)
    with pytest.raises(InputError, match=r"value 13000, which no label id is .* In train ids a car is 13"):
        dataset[0]


def test_a_clean_frame_needs_no_remark(root: Path) -> None:
    assert remarks(Cityscapes(root, "val", merge="none")) == []


def test_the_real_frame(sample_data: Path) -> None:
    root = sample_data / "cityscapes-sample"
    assert frames(root, "val") == ["frankfurt/frankfurt_000000_000294"]
    real = check_frame(root, "val", "frankfurt/frankfurt_000000_000294")
    values = np.array(Image.open(next((root / "gtFine").rglob("*_instanceIds.png"))))
    assert real.faults == []
    assert real.pixels[26] == ((values == 26) | (values // 1000 == 26)).sum()
    known = [value // 1000 for value in np.unique(values)]
    assert len(real.statistics.thing_sides) == sum(24 <= one <= 33 and one not in (29, 30) for one in known)
