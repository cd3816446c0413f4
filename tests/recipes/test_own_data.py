"""From the JSONs of one's own data, and from Cityscapes' folders, to runs, scores and files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cityscapes_files import official_categories, write_download, write_official_json
from PIL import Image

from unipan.checkpoint import RunFolder, open_run, write_settings
from unipan.config import FROM_DATA, Config, DataConfig
from unipan.data import statistics
from unipan.data.build import remarks, training_dataset
from unipan.data.cityscapes_labels import CITYSCAPES
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.id_maps import write_id_map
from unipan.data.scenes.dataset import SceneDataset
from unipan.errors import InputError
from unipan.overrides import Overrides
from unipan.presets import finetune_small
from unipan.recipes.evaluate import evaluate
from unipan.recipes.explore import explore_run
from unipan.recipes.images import image_files
from unipan.recipes.predict import predict
from unipan.recipes.score import score
from unipan.recipes.train import train
from unipan.settings import with_values

SCENES = SceneDataset(difficulty="standard", size=(64, 64), seed=5, length=3)


def write_scenes(folder: Path) -> Path:
    """Three procedural scenes as files: FOLDER/truth.json, its PNGs and the images."""
    (folder / "images").mkdir(parents=True)
    samples = [SCENES[position] for position in range(3)]
    for sample in samples:
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(folder / "images" / sample.file_name)
    entries = (Entry(sample.image_id, sample.file_name, sample.truth) for sample in samples)
    return write_panoptic(folder, entries, SCENES.classes, json_name="truth.json", png_folder="truth", scores=False)


def keep_only(path: Path, *, things: bool) -> None:
    """Take the classes of the other kind out of the JSON, and their segments out of the PNGs."""
    content = json.loads(path.read_text())
    content["categories"] = [entry for entry in content["categories"] if bool(entry["isthing"]) == things]
    known = {entry["id"] for entry in content["categories"]}
    for annotation, position in zip(content["annotations"], range(3), strict=True):
        annotation["segments_info"] = [s for s in annotation["segments_info"] if s["category_id"] in known]
        kept = torch.tensor([segment["id"] for segment in annotation["segments_info"]])
        ids = SCENES[position].truth.ids
        write_id_map(path.with_suffix("") / annotation["file_name"], ids.where(torch.isin(ids, kept), 0))
    path.write_text(json.dumps(content))


def on_json(tiny: Config, path: Path, **further: Any) -> Config:
    data = replace(tiny.data, train=str(path), val=str(path), images=str(path.parent / "images"), **further)
    return replace(tiny, data=data, train=replace(tiny.train, steps=2))


def change(path: Path, **parts: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


def test_train_evaluate_predict_score(tmp_path: Path, tiny_config: Config, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_scenes(tmp_path / "set")
    content = json.loads(path.read_text())
    change(path, images=[*content["images"], {"id": "bare", "file_name": "bare.png"}])
    run = tmp_path / "run"
    train(on_json(tiny_config, path), run)
    evaluation = evaluate(str(run))
    assert capfd.readouterr().err.count(": 1 image without an annotation") == 2
    assert (evaluation.answer.num_images, evaluation.answer.title) == (3, "truth.json, stuff under 100 px trimmed")
    predict(str(run), [tmp_path / "set" / "images"], tmp_path / "out")
    scored = score(path, tmp_path / "out" / "panoptic.json")
    assert scored.quality == evaluation.answer.quality


@pytest.mark.parametrize("things", [True, False])
def test_classes_of_one_kind_train_and_are_scored(
    tmp_path: Path, tiny_config: Config, things: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_scenes(tmp_path / "set")
    keep_only(path, things=things)
    config = on_json(tiny_config, path)
    network = train(replace(config, inference=replace(config.inference, min_stuff_area_px=4096)), tmp_path / "run")
    message = capfd.readouterr().err
    assert ("settings: the limit inference.min_stuff_area_px 4096 removes " in message) != things
    assert all(bool(parameter.isfinite().all()) for parameter in network.parameters())
    assert evaluate(str(tmp_path / "run")).answer.num_images == 3
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(log) == 2
    assert all(line["loss"] > 0 for line in log)


def test_images_that_are_all_void_train_and_are_scored(tmp_path: Path, tiny_config: Config) -> None:
    path = write_scenes(tmp_path / "set")
    annotations = json.loads(path.read_text())["annotations"]
    for annotation in annotations:
        write_id_map(path.with_suffix("") / annotation["file_name"], torch.zeros(64, 64, dtype=torch.int32))
    change(path, annotations=[annotation | {"segments_info": []} for annotation in annotations])
    network = train(on_json(tiny_config, path), tmp_path / "run")
    assert all(bool(parameter.isfinite().all()) for parameter in network.parameters())
    assert evaluate(str(tmp_path / "run")).answer.num_images == 3


def test_sizes_follow_from_the_data_and_stay_in_a_run_that_goes_on(
    tmp_path: Path, tiny_config: Config, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data set is sampled once, for these settings and for what is said of the others."""
    sampled, sample = [], statistics.sampled_statistics
    monkeypatch.setattr("unipan.recipes.train.sampled_statistics", lambda dataset: sampled.append(dataset) or sample(dataset))
    small, path = finetune_small(), write_scenes(tmp_path / "set")
    config = on_json(replace(tiny_config, inference=small.inference), path, short_side=FROM_DATA, long_side=FROM_DATA)
    config = with_values(config, {"model.detector.max_detections": FROM_DATA, "train.max_admitted": 3, "train.steps": 1})
    train(config, tmp_path / "run")
    message = "By the training data: model.detector.max_detections 50, data.short_side 96, data.long_side 192, "
    assert f"{message}inference.max_admitted 50." in capfd.readouterr().err
    assert len(sampled) == 1
    _, settled, _ = open_run(tmp_path / "run")
    assert (settled.data.short_side, settled.train.max_admitted, settled.inference.max_admitted) == (96, 3, 50)
    settings = RunFolder(tmp_path / "run").config
    settings.write_text(settings.read_text().replace('"short_side": 96', '"short_side": 32'))
    train(with_values(config, {"train.steps": 2}), tmp_path / "run", resume=True)
    assert open_run(tmp_path / "run")[1].data.short_side == 32


def test_merging_is_said(tmp_path: Path, tiny_config: Config) -> None:
    config = on_json(tiny_config, write_scenes(tmp_path / "set"), merge="supercategory")
    merged = len(SCENES.classes.merged_by_supercategory()[0])
    [message] = remarks(training_dataset(config.data, 0))
    assert message.startswith(
        f"{len(SCENES.classes)} classes were merged into {merged} by their super-categories; --data.merge none"
    )


def test_the_truth_of_a_merged_run_is_merged_on_its_page(tmp_path: Path, tiny_config: Config) -> None:
    config = on_json(tiny_config, write_scenes(tmp_path / "set"), merge="supercategory")
    train(config, tmp_path / "run")
    images, truth = [tmp_path / "set" / "images"], tmp_path / "set" / "truth.json"
    explore_run(str(tmp_path / "run"), images, tmp_path / "page.html", truth=truth)
    assert "truth" in (tmp_path / "page.html").read_text()


def test_a_set_that_moved_is_found_by_its_new_root(tmp_path: Path, tiny_config: Config) -> None:
    write_scenes(tmp_path / "old")
    run = RunFolder(tmp_path / "run")
    data = DataConfig(root=str(tmp_path / "old"), train="truth.json", val="truth.json", images="images")
    train(replace(tiny_config, data=data, train=replace(tiny_config.train, steps=1)), run.path)
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(InputError, match=r"there is no file .*old/truth\.json"):
        evaluate(str(run.path))
    assert evaluate(str(run.path), root=str(tmp_path / "new")).answer.num_images == 3
    absolute = on_json(tiny_config, tmp_path / "new" / "truth.json")
    write_settings(run, absolute, SCENES.classes)
    with pytest.raises(InputError, match=r"data\.root is .*new, but data\.train .* is absolute"):
        evaluate(str(run.path), root=str(tmp_path / "new"))


def test_a_run_is_evaluated_on_another_set(tmp_path: Path, tiny_run: Path) -> None:
    """Whatever it was trained on: here on scenes without files."""
    path = write_scenes(tmp_path / "test")
    before = {file.name for file in tiny_run.iterdir()}
    evaluation = evaluate(str(tiny_run), val=str(path), images=str(path.parent / "images"))
    written = {file.name for file in tiny_run.iterdir()} - before
    assert written == {"metrics_truth.json"}
    (tiny_run / "metrics_truth.json").unlink()
    predict(str(tiny_run), [path.parent / "images"], tmp_path / "out")
    assert score(path, tmp_path / "out" / "panoptic.json").quality == evaluation.answer.quality
    assert evaluation.answer.title.startswith("truth.json")
    untrimmed = Overrides(min_stuff_area_px=0)
    relative = evaluate(str(tiny_run), root=str(path.parent), val="truth.json", images="images", overrides=untrimmed)
    assert relative.answer.title == "truth.json"
    (tiny_run / "metrics_truth_min-stuff-area-px-0.json").unlink()
    with pytest.raises(InputError, match=r"both --data\.val JSON and --data\.images FOLDER"):
        evaluate(str(tiny_run), val=str(path))
    change(path, categories=json.loads(path.read_text())["categories"][::-1])
    with pytest.raises(InputError, match="trained on other classes than this data set has"):
        evaluate(str(tiny_run), val=str(path), images=str(path.parent / "images"))


def test_scenes_lie_in_no_folder(tiny_run: Path) -> None:
    with pytest.raises(InputError, match=r"procedural scenes, which lie in no folder; leave --data\.root out"):
        evaluate(str(tiny_run), root="somewhere")


@pytest.mark.parametrize("train_ids", [False, True])
def test_cityscapes_answers_are_in_the_official_form(tmp_path: Path, tiny_config: Config, train_ids: bool) -> None:
    """From folders, and from the JSON with train ids: predictions name CITY_SEQUENCE_FRAME and label ids."""
    root = write_download(tmp_path)
    truth = write_official_json(root / "gtFine", CITYSCAPES.to_categories())
    data = replace(tiny_config.data, source="cityscapes", root=str(root), train_split="val", val_split="val")
    if train_ids:
        by_place = official_categories(CITYSCAPES.to_categories(), train_ids=True)
        path = str(write_official_json(root / "gtFine", by_place, train_ids=True))
        data = replace(tiny_config.data, train=path, val=path, images=str(root / "leftImg8bit"))
    config = replace(
        tiny_config,
        data=replace(data, short_side=64, crop=(0, 0)),
        train=replace(tiny_config.train, steps=2),
        inference=replace(tiny_config.inference, min_stuff_area_px=0),
    )
    run, out = tmp_path / "run", tmp_path / "out"
    train(config, run)
    predict(str(run), [root / "leftImg8bit" / "val"], out)
    written = json.loads((out / "panoptic.json").read_text())
    assert [entry["image_id"] for entry in written["annotations"]] == ["aachen_000001_000019", "bochum_000000_000313"]
    used = {segment["category_id"] for entry in written["annotations"] for segment in entry["segments_info"]}
    assert used
    assert used <= {info.dataset_id for info in CITYSCAPES.classes}
    del written["categories"]  # the official form of predictions has none: category ids alone must be right
    (out / "panoptic.json").write_text(json.dumps(written))
    assert score(truth, out / "panoptic.json").quality == evaluate(str(run)).answer.quality


@pytest.mark.parametrize("folder", ["leftImg8bit/val", "leftImg8bit"])
def test_all_levels_of_a_folder_are_searched(tmp_path: Path, folder: str) -> None:
    root = write_download(tmp_path)
    names = [file.name.split("_")[0] for file in image_files([root / folder], tmp_path / "out")]
    assert names == ["aachen", "bochum"]
