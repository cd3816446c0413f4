"""Files from elsewhere that mean harm, or are of another make: a sentence refuses them, and nothing of them is ever executed."""

import json
import os
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_files import untrained_run, write_cat
from torch import nn

from unipan.checkpoint import RunFolder, TrainingState, open_run, read_classes
from unipan.cli import main
from unipan.config import Config
from unipan.data.coco import json_set
from unipan.data.coco_files import read_panoptic_file
from unipan.data.coco_json import leads_out
from unipan.engine.optimize import build_optimizer, restore_optimizer
from unipan.errors import InputError
from unipan.models.backbone import Backbone
from unipan.models.given_weights import read_weights
from unipan.settings_file import absent_settings, load_config, save_config


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, crater: Path) -> None:
        self.crater = crater

    def __reduce__(self):
        return os.mkdir, (str(self.crater),)


@pytest.fixture
def bomb(tmp_path: Path) -> Iterator[Bomb]:
    crater = tmp_path / "crater"
    yield Bomb(crater)
    assert not crater.exists(), "a file was executed"


def test_a_bomb_explodes_where_it_is_unpickled(tmp_path: Path) -> None:
    """Or the tests below would show nothing."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "crater")))
    assert (tmp_path / "crater").exists()


# --- settings and class tables ---


@pytest.mark.parametrize("depth", [1_000, 200_000])
@pytest.mark.parametrize("form", ["[", '{"model":'])
def test_json_nested_without_end_is_refused(tmp_path: Path, form: str, depth: int) -> None:
    path = tmp_path / "config.json"
    path.write_text(form * depth)
    with pytest.raises(InputError, match="cannot read the settings"):
        load_config(path)
    with pytest.raises(InputError, match="cannot read the class table"):
        read_classes(path)


@pytest.mark.parametrize("value", ["null", "[null]", "1e400", "9" * 5000, "{}", '{"a": {"b": []}}', "NaN"])
@pytest.mark.parametrize("name", ["steps", "warm_start", "decay_steps"])
def test_a_setting_of_another_type_is_refused(tmp_path: Path, name: str, value: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(f'{{"train": {{"{name}": {value}}}}}')
    with pytest.raises(InputError, match=r"config\.json"):
        load_config(path)


@pytest.mark.parametrize(
    "entry", ['{"id": 1e400, "name": "a", "isthing": 1}', '{"id": {}, "name": [], "isthing": {}}', "[[]]", "7"]
)
def test_a_class_table_of_other_types_is_refused(tmp_path: Path, entry: str) -> None:
    (tmp_path / "classes.json").write_text(f"[{entry}]")
    with pytest.raises(InputError, match="cannot read the class table"):
        read_classes(tmp_path / "classes.json")


def test_unknown_settings_are_all_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    settings: dict[str, Any] = asdict(Config())
    settings["train"]["learning_rat"] = 0.1
    settings["model"]["detector"]["nsm"] = 0.5
    settings["zzz"] = {}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError) as refused:
        load_config(tmp_path / "config.json")
    message = str(refused.value)
    assert "train.learning_rat is unknown (near it: train.learning_rate)" in message
    assert "model.detector.nsm is unknown (near it: model.detector.nms)" in message
    assert "zzz is unknown" in message


def test_settings_that_an_earlier_version_did_not_know_take_their_defaults(tmp_path: Path) -> None:
    path, settings = tmp_path / "config.json", asdict(Config())
    del settings["train"]["keep"], settings["model"]["detector"]["nms"], settings["inference"]
    path.write_text(json.dumps(settings))
    assert load_config(path) == Config()
    expected = ["model.detector.nms", "train.keep", *(f"inference.{name}" for name in asdict(Config())["inference"])]
    assert absent_settings(path) == expected
    save_config(Config(), path)
    assert absent_settings(path) == []


@pytest.mark.parametrize(
    "name", ["hf-hub:someone/network", "hf_hub:someone/network", "local-dir:/tmp", "../resnet50", "/etc/passwd"]
)
def test_a_backbone_is_a_name_and_no_place(name: str) -> None:
    """Timm would fetch settings from such places."""
    with pytest.raises(InputError, match="timm has no backbone"):
        Backbone(name=name, pretrained=False, freeze_batchnorm=True, checkpointing=False)


def test_a_link_to_nowhere_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to(tmp_path / "gone")
    (tmp_path / "classes.json").mkdir()
    with pytest.raises(InputError, match=r"is no run: it has no config\.json and no classes\.json"):
        open_run(tmp_path)


# --- weights ---


def test_a_pickle_in_place_of_a_model_ends_a_command_with_a_sentence(
    bomb: Bomb, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = untrained_run(tmp_path / "run")
    RunFolder(run).model.write_bytes(pickle.dumps(bomb))
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(run), str(run / "classes.json"), "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "model.safetensors is damaged or no safetensors file" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("name", ["bomb.pth", "bomb.pt", "bomb.safetensors"])
@pytest.mark.parametrize("by", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb))])
def test_a_warm_start_executes_nothing(bomb: Bomb, tmp_path: Path, name: str, by: Callable[[Any, Path], object]) -> None:
    by({"a": bomb}, tmp_path / name)
    with pytest.raises(InputError, match=r"train\.warm_start: .* is neither \.safetensors nor a PyTorch file of tensors alone"):
        read_weights(str(tmp_path / name))


def test_a_damaged_warm_start_is_refused_or_read_but_never_a_fault_of_ours(tmp_path: Path) -> None:
    """Flipped bytes and cut ends, in the form of today and the one before it."""
    dice, path = random.Random(0), tmp_path / "a.pth"
    for form in (True, False):
        torch.save({"a": torch.ones(3), "b": torch.zeros(2, 2)}, path, _use_new_zipfile_serialization=form)
        whole = path.read_bytes()
        for _ in range(150):
            content = bytearray(whole)
            for _ in range(dice.randint(1, 4)):
                content[dice.randrange(len(content))] = dice.randrange(256)
            path.write_bytes(content[: dice.randint(1, 2 * len(content))])
            try:
                state = read_weights(str(path))
            except InputError:
                continue
            assert all(isinstance(value, torch.Tensor) for value in state.values())


@pytest.mark.parametrize(
    "momentum",
    [{"weight": torch.ones(2, 4)}, {"weight": torch.ones(3, 2, dtype=torch.int64)}, {"__class__": torch.ones(1)}],
)
def test_momentum_of_another_network_is_refused(momentum: dict[str, torch.Tensor]) -> None:
    network = nn.Linear(2, 3)
    optimizer = build_optimizer(network, "sgd", momentum=0.9, weight_decay=0.0)
    with pytest.raises(InputError, match="checkpoint of step 5 does not fit this network: momentum of"):
        restore_optimizer(optimizer, network, TrainingState(5, {}, momentum))
    assert not optimizer.state


# --- names that become paths ---


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/passwd", "b/../../a.png", "..\\a.png", "C:\\a.png", "C:/a.png", "a:../b.png", "\\\\host\\a.png"]
)
def test_a_name_that_leads_out_is_seen(name: str) -> None:
    assert leads_out(name)


@pytest.mark.parametrize(
    "name", ["a.png", "city/a.png", "a..b.png", "..a.png", "ab:c.png", "0:02.png", "day/0:02.png", "a b.png", ".a.png"]
)
def test_a_name_that_stays_is_left_alone(name: str) -> None:
    assert not leads_out(name)


@pytest.mark.skipif(os.name == "nt", reason="there a colon is no letter of a name")
def test_a_letter_before_a_colon_is_a_drive_only_where_there_are_drives() -> None:
    assert not leads_out("C:a.png")


@pytest.mark.parametrize("part", ["images", "annotations"])
def test_a_data_set_cannot_name_files_elsewhere(tmp_path: Path, part: str) -> None:
    """Although the file is there."""
    path = write_cat(tmp_path / "truth.json", 0)
    outside = tmp_path / "truth" / "a.png"
    (tmp_path / "images").mkdir()
    content = json.loads(path.read_text())
    content[part][0]["file_name"] = str(outside)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="file names that lead out of their folder: "):
        json_set(path, tmp_path / "images", None, merge="none")
    if part == "annotations":  # scoring reads no images
        with pytest.raises(InputError, match="file names that lead out of their folder: "):
            read_panoptic_file(path)
