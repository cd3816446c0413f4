"""Training from shards is training from the folder, also where it goes on after a crash."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from planted_hooks import At

from unipan.checkpoint import RunFolder
from unipan.cli import main
from unipan.config import Config
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.scenes.dataset import SceneDataset
from unipan.recipes.evaluate import evaluate
from unipan.recipes.train import train

SCENES = SceneDataset(difficulty="standard", size=(64, 64), seed=5, length=3)


def test_weights_are_those_of_the_folder(tmp_path: Path, tiny_config: Config) -> None:
    samples = [SCENES[position] for position in range(3)]
    (tmp_path / "mini").mkdir()
    for sample in samples:
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(tmp_path / "mini" / sample.file_name)
    entries = [Entry(sample.image_id, sample.file_name, sample.truth) for sample in samples]
    names = {"json_name": "panoptic_mini.json", "png_folder": "panoptic_mini"}
    json_path = write_panoptic(tmp_path / "annotations", entries, SCENES.classes, **names, scores=False)
    main(["convert", "shards", str(json_path), "--images", str(tmp_path / "mini"), "--out", str(tmp_path), "--per-shard", "2"])
    data = replace(tiny_config.data, source="coco", root=str(tmp_path), train_split="mini", val_split="mini")
    config = replace(tiny_config, data=data, train=replace(tiny_config.train, steps=3, workers=1, save_every=1))
    runs = [tmp_path / "from-folder", tmp_path / "from-shards"]
    train(replace(config, train=replace(config.train, workers=0)), runs[0])
    shards = replace(config, data=replace(data, source="shards"))
    with pytest.raises(RuntimeError, match="no more power"):
        train(shards, runs[1], hooks=[At(2, RuntimeError("no more power"))])
    train(shards, runs[1], resume=True)
    first, second = (RunFolder(run).model.read_bytes() for run in runs)
    assert first == second
    assert evaluate(str(runs[0])).answer.quality == evaluate(str(runs[1])).answer.quality
