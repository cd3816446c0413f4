"""The whole road after training: evaluation, prediction and the score of files tell the same story."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from unipan.checkpoint import RunFolder, open_run, save_model
from unipan.classes import ClassTable
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.dataset import PanopticDataset
from unipan.data.id_maps import read_id_map
from unipan.errors import InputError
from unipan.overrides import Overrides
from unipan.predictor import load
from unipan.recipes.evaluate import Evaluation, evaluate, evaluate_predictor
from unipan.recipes.evaluation.result import ImagePQ
from unipan.recipes.illustrate import extremes, illustrate, report
from unipan.recipes.predict import predict
from unipan.recipes.score import score
from unipan.types import PanopticMap, Sample
from unipan.viz.canvas import as_pil, readable_scale


@pytest.fixture(scope="module")
def image_folder(scenes: PanopticDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenes as image files (PNG loses nothing), beside a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "notes.txt").write_text("no image")
    for index in range(len(scenes)):
        as_pil(scenes[index].image).save(folder / scenes[index].file_name)
    return folder


@pytest.fixture
def copied_run(learnt_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learnt_run, tmp_path / "run"))


def write_truth(folder: Path, dataset: PanopticDataset) -> Path:
    samples = [dataset[index] for index in range(len(dataset))]
    entries = [Entry(sample.image_id, sample.file_name, sample.truth) for sample in samples]
    return write_panoptic(folder, entries, dataset.classes, json_name="truth.json", png_folder="truth", scores=False)


class Listed:
    """A data set from a list."""

    def __init__(self, classes: ClassTable, samples: Sequence[Sample]) -> None:
        self.classes = classes
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def keen_on_things(run: Path, folder: Path) -> Path:
    """A copy that sees things everywhere, so that each of its boxes holds one."""
    copy = Path(shutil.copytree(run, folder / "keen"))
    predictor = load(copy)
    classifier = predictor.network.semantic_head.classifier
    with torch.no_grad():
        assert classifier.bias is not None
        classifier.bias[list(predictor.classes.things)] += 6
    save_model(RunFolder(copy).model, predictor.network)
    return copy


def with_answers_for_truth(run: Path, scenes: PanopticDataset) -> Listed:
    """Truth that a poorly trained run meets in part, things included: its own answers, moved by some pixels."""
    predictor = load(run)
    samples = []
    for index in range(len(scenes)):
        answer = predictor(scenes[index].image)
        height, width = answer.ids.shape
        ids = torch.zeros_like(answer.ids)
        ids[1:, 1:] = answer.ids[: height - 1, : width - 1]
        present = set(ids.unique().tolist())
        kept = tuple(replace(segment, score=1.0) for segment in answer.segments if segment.id in present)
        samples.append(replace(scenes[index], truth=replace(scenes[index].truth, ids=ids, segments=kept)))
    return Listed(scenes.classes, samples)


@pytest.mark.parametrize("source", ["scenes", "answers"])
def test_evaluation_is_prediction_and_score(
    source: str, learnt_run: Path, scenes: PanopticDataset, image_folder: Path, tmp_path: Path
) -> None:
    run = learnt_run if source == "scenes" else keen_on_things(learnt_run, tmp_path)
    dataset = scenes if source == "scenes" else with_answers_for_truth(run, scenes)
    evaluation = evaluate_predictor(load(run), dataset, "here")
    predict(str(run), [image_folder], tmp_path / "answers")
    report = score(write_truth(tmp_path, dataset), tmp_path / "answers/panoptic.json")
    assert report.num_images == len(dataset) == 4
    for part in ("quality", "errors"):
        assert report.to_json()[part] == evaluation.answer.to_json()[part]
    assert 0 < report.quality.stuff.pq < 1
    matched_things = sum(entry.matched for entry in report.quality.per_class if entry.is_thing)
    assert matched_things > 0 or source == "scenes"


def test_evaluate_writes_what_it_measures(copied_run: Path) -> None:
    evaluation = evaluate(str(copied_run))
    assert isinstance(evaluation, Evaluation)
    assert evaluation.answer.num_images == 4
    assert evaluation.answer.title == "standard scenes, stuff under 400 px trimmed"
    assert evaluation.head == "unified"
    assert evaluation.mask_free
    assert evaluation.propagation is not None
    assert evaluation.propagation.scale > 0
    assert json.loads((copied_run / "metrics.json").read_text()) == evaluation.to_json()
    assert evaluation.to_json()["answer"]["quality"]["all"]["pq"] == evaluation.answer.quality.all.pq > 0


def test_evaluation_is_deterministic(learnt_run: Path, scenes: PanopticDataset) -> None:
    predictor = load(learnt_run)
    first = evaluate_predictor(predictor, scenes, "first").to_json()
    torch.rand(7)
    for other in (predictor, load(learnt_run)):
        assert evaluate_predictor(other, scenes, "first").to_json() == first


def test_trimming_can_be_switched_off(copied_run: Path) -> None:
    trimmed, whole = evaluate(str(copied_run)), evaluate(str(copied_run), overrides=Overrides(min_stuff_area_px=0))
    counts = [[(c.extra + c.matched) for c in e.answer.quality.per_class if not c.is_thing] for e in (trimmed, whole)]
    assert sum(counts[0]) < sum(counts[1])
    assert whole.answer.title == "standard scenes"
    assert trimmed.answer.quality.things == whole.answer.quality.things
    names = {path.name for path in copied_run.glob("metrics*.json")}
    assert names == {"metrics.json", "metrics_min-stuff-area-px-0.json"}, "the run's own score stays"


def test_evaluating_on_another_class_table_is_refused(copied_run: Path) -> None:
    categories = json.loads((copied_run / "classes.json").read_text())
    categories[0]["name"] = "cosmos"
    (copied_run / "classes.json").write_text(json.dumps(categories))
    with pytest.raises(InputError, match="was trained on other classes than this data set has"):
        evaluate(str(copied_run))
    assert not (copied_run / "metrics.json").exists()


@pytest.mark.parametrize("size", [(64, 64), (50, 71)])
def test_an_answer_has_the_images_size(size: tuple[int, int], learnt_run: Path, image_folder: Path, tmp_path: Path) -> None:
    width, height = size
    path = tmp_path / "image.png"
    with Image.open(sorted(image_folder.glob("*.png"))[0]) as image:
        image.resize(size).save(path)
    answer = load(learnt_run)(path)
    assert isinstance(answer, PanopticMap)
    assert answer.ids.shape == (height, width)
    assert answer.ids.dtype == torch.int32
    assert {segment.id for segment in answer.segments} == set(answer.ids.unique().tolist()) - {0}
    assert all(segment.area == int((answer.ids == segment.id).sum()) for segment in answer.segments)


def test_predict_writes_overlays_and_panoptic_files(learnt_run: Path, image_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new/answers"
    files = sorted(image_folder.glob("*.png"))
    predicted = predict(str(learnt_run), files[:2], out)
    assert (predicted.images, predicted.unreadable) == (2, [])
    content = json.loads((out / "panoptic.json").read_text())
    stems = [path.stem for path in files[:2]]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["panoptic", "panoptic.json", "panoptic.jsonl", *(f"{stem}_overlay.jpg" for stem in stems)]
    )
    assert [annotation["file_name"] for annotation in content["annotations"]] == [f"{stem}.png" for stem in stems]
    for file, annotation in zip(files[:2], content["annotations"], strict=True):
        answer = load(learnt_run)(file)
        assert torch.equal(read_id_map(out / "panoptic" / annotation["file_name"]), answer.ids)
        assert [entry["score"] for entry in annotation["segments_info"]] == [segment.score for segment in answer.segments]
    with Image.open(out / f"{stems[0]}_overlay.jpg") as image, Image.open(files[0]) as original:
        assert image.size == tuple(readable_scale(*original.size) * side for side in original.size)


def test_predicting_a_folder_is_predicting_its_images(learnt_run: Path, image_folder: Path, tmp_path: Path) -> None:
    by_folder = predict(str(learnt_run), [image_folder], tmp_path / "a")
    by_name = predict(str(learnt_run), sorted(image_folder.glob("*.png")), tmp_path / "b")
    assert by_folder.images == by_name.images == 4
    assert (tmp_path / "a/panoptic.json").read_bytes() == (tmp_path / "b/panoptic.json").read_bytes()


def test_predicting_nothing_is_refused(learnt_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no image"):
        predict(str(learnt_run), [tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(InputError, match=r"no image file .*gone\.png"):
        predict(str(learnt_run), [tmp_path / "gone.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_images_of_one_name_are_told_apart_by_their_folders(learnt_run: Path, image_folder: Path, tmp_path: Path) -> None:
    first, second, *_ = sorted(image_folder.glob("*.png"))
    for subfolder, image in (("a", first), ("b", second)):
        (tmp_path / "images" / subfolder).mkdir(parents=True)
        shutil.copy(image, tmp_path / "images" / subfolder / "one.png")
    out = tmp_path / "out"
    predict(str(learnt_run), [tmp_path / "images"], out)
    assert [entry["image_id"] for entry in json.loads((out / "panoptic.json").read_text())["annotations"]] == ["a/one", "b/one"]
    assert (out / "a" / "one_overlay.jpg").is_file()
    truth = write_panoptic(
        tmp_path,
        [Entry(7, "b/one.png", load(learnt_run)(second)), Entry(8, "a/one.png", load(learnt_run)(first))],
        load(learnt_run).classes,
        json_name="truth.json",
        png_folder="truth",
        scores=False,
    )
    assert score(truth, out / "panoptic.json").quality.all.pq == 1


def test_the_report_shows_the_run(copied_run: Path, scenes: PanopticDataset) -> None:
    pytest.importorskip("matplotlib")
    predictor, path = load(copied_run), copied_run / "report.html"
    evaluation = evaluate_predictor(predictor, scenes, "four scenes")
    illustrate(open_run(copied_run)[0], predictor, scenes, evaluation, facts=[("steps", "forty")], page=path)
    page = (copied_run / "report.html").read_text()
    for text in ("four scenes", "forty", "sky", *(scenes[index].file_name for index in range(len(scenes)))):
        assert text in page
    assert f"{100 * evaluation.answer.quality.all.pq:.1f}" in page
    assert "<svg" in page
    assert "<a href" not in page


def test_the_worst_images_come_first_and_the_best_after_them() -> None:
    images = [ImagePQ(position, f"{position}.jpg", position / 20, things=0) for position in range(20)]
    worst, best = extremes(images)
    assert [image.position for image in worst[2]] == [0, 1, 2, 3, 4, 5]
    assert [image.position for image in best[2]] == [19, 18, 17, 16, 15, 14]
    assert [image for _, _, shown in extremes(images[:12]) for image in shown] == images[:12]


def test_the_best_images_hold_things_where_any_does() -> None:
    images = [ImagePQ(position, f"{position}.jpg", position / 20, things=position in (2, 9, 12)) for position in range(20)]
    worst, best = extremes(images)
    assert [image.position for image in worst[2]] == [0, 1, 2, 3, 4, 5]
    assert [image.position for image in best[2]] == [12, 9]
    assert best[1] == "The 2 with the greatest PQ among those with things, the best first."


def test_any_run_has_a_report(copied_run: Path, scenes: PanopticDataset) -> None:
    pytest.importorskip("matplotlib")
    page = report(str(copied_run), head="heuristic", explore=True)
    assert page == copied_run / "report_heuristic.html"
    assert "Head: heuristic" in page.read_text()
    assert scenes[0].file_name in page.read_text()
    assert (copied_run / "examples_heuristic.jpg").is_file()
    assert (copied_run / "metrics_heuristic.json").is_file()
    links = re.findall(r'<a href="([^"]+)"', page.read_text())
    assert len(links) == len(scenes)
    assert all(link.startswith("explorer_heuristic/") for link in links), "another head's report leads to pages of its own"
    assert all('id="stage"' in (copied_run / link).read_text() for link in links)
