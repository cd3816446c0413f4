"""The doctor's last line and its table promise nothing that `--fix` refuses to do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cityscapes_files import write_download
from doctor_cases import CASES, Train, write_clean

from unipan.cli import main


def spoilt(root: Path, spoil: Callable[[Train], object]) -> Path:
    train = Train(write_clean(root))
    spoil(train)
    train.save()
    return root


def _of_cityscapes(folder: Path) -> list[Path]:
    root = write_download(folder)
    next((root / "leftImg8bit").rglob("*.png")).unlink()
    return [root]


def _of_no_use(folder: Path) -> list[Path]:
    return [spoilt(folder, lambda train: [path.unlink() for path in (train.root / "train").iterdir()])]


def _of_one_name(folder: Path) -> list[Path]:
    return [spoilt(folder / name, CASES["no PNG"].plant) / "annotations" / "panoptic_train.json" for name in "ab"]


def _without_isthing(folder: Path) -> list[Path]:
    return [spoilt(folder, lambda train: train.categories[0].pop("isthing"))]


def _without_png(folder: Path) -> list[Path]:
    return [spoilt(folder, CASES["no PNG"].plant)]


@pytest.mark.parametrize(
    ("data", "promise"),
    [
        (_of_cityscapes, "--fix mends the COCO panoptic format; bring Cityscapes into it first: unipan convert cityscapes."),
        (_of_no_use, "no image of train can be used, so a copy would be empty; mend the errors that the report names first."),
        (_of_one_name, "two splits would both become annotations/panoptic_train.json; mend them one after the other, each with"),
        (_without_isthing, "--fix can't guess how to mend this: categories that are no class, first"),
        (_without_png, "--fix --out DIR writes a mended copy."),
    ],
)
def test_a_copy_is_promised_where_one_is_written(
    data: Callable[[Path], list[Path]], promise: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, out = data(tmp_path / "data"), tmp_path / "copy"
    assert _exit_status("doctor", *paths) == 1
    *_, last = " ".join(capsys.readouterr().out.split()).partition("would break training, ")
    assert promise in last
    refused = _exit_status("doctor", *paths, "--fix", "--out", out) == 2
    error = capsys.readouterr().err
    assert (promise in " ".join(error.split())) is refused
    assert out.exists() is not refused


def test_of_cityscapes_nothing_is_said_to_be_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = _of_cityscapes(tmp_path)
    assert _exit_status("doctor", *paths) == 1
    assert "--fix:" not in capsys.readouterr().out
    assert _exit_status("doctor", *paths, "--json") == 1
    assert {finding["fix"] for finding in json.loads(capsys.readouterr().out)["findings"]} == {""}


def _exit_status(*arguments: object) -> object:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code
