"""What predict writes goes into the field's scorers as it is, and they find the panoptic quality that `unipan score` finds."""

import json
from pathlib import Path

import pytest

from unipan.cli import main
from unipan.config import Config
from unipan.data.build import validation_dataset
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.recipes.score import score
from unipan.viz.canvas import as_pil, save_image


@pytest.fixture(scope="module")
def files(learnt_run: Path, tiny_config: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Truth and predictions of four held-out scenes, named as COCO's images are."""
    folder = tmp_path_factory.mktemp("scored")
    dataset = validation_dataset(tiny_config.data)
    samples = [dataset[index] for index in range(4)]
    for number, sample in enumerate(samples, start=139):
        save_image(as_pil(sample.image), folder / "images" / f"{number:012}.png")
    entries = [Entry(number, f"{number:012}.png", sample.truth) for number, sample in enumerate(samples, start=139)]
    truth = write_panoptic(folder, entries, dataset.classes, json_name="truth.json", png_folder="truth", scores=False)
    main(["predict", str(learnt_run), str(folder / "images"), "--out", str(folder / "out")])
    return truth, folder / "out" / "panoptic.json"


def picked(theirs: dict[str, dict[str, float]]) -> dict[str, float]:
    return {f"{name} {part}": theirs[name][part] for name in ("All", "Things", "Stuff") for part in ("pq", "sq", "rq")}


@pytest.fixture(scope="module")
def ours(files: tuple[Path, Path]) -> dict[str, float]:
    """PQ, SQ and RQ of all classes, of things and of stuff."""
    report = score(*files)
    found = {name: getattr(report.quality, name.lower()) for name in ("All", "Things", "Stuff")}
    assert found["All"].pq > 0.01, "some answers are right, or nothing is compared"
    return picked({name: vars(one) for name, one in found.items()})


def test_image_ids_are_the_whole_numbers_of_the_names(files: tuple[Path, Path]) -> None:
    content = json.loads(files[1].read_text())
    assert [one["image_id"] for one in content["annotations"]] == [139, 140, 141, 142]


def test_hotcoco(files: tuple[Path, Path], ours: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    """Its command, `coco panoptic eval`."""
    cli = pytest.importorskip("hotcoco.cli", reason="hotcoco is not installed")
    arguments = ["coco", "panoptic", "eval", "--gt", str(files[0]), "--pred", str(files[1]), "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", arguments)
        cli.main()
    theirs = json.loads(capsys.readouterr().out)
    assert picked(theirs) == pytest.approx(ours, abs=1e-9)


def test_panopticapi(files: tuple[Path, Path], ours: dict[str, float]) -> None:
    evaluation = pytest.importorskip("panopticapi.evaluation", reason="panopticapi is not installed; it needs an older numpy")
    theirs = evaluation.pq_compute(str(files[0]), str(files[1]))
    assert picked(theirs) == pytest.approx(ours, abs=1e-9)
