"""Settings of a training that change what is saved: mixed precision, a warm start, another batch size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.models import detection

from unipan.checkpoint import RunFolder, load_model, load_training
from unipan.choices import DetectorKind
from unipan.config import Config
from unipan.data.build import training_dataset
from unipan.errors import InputError
from unipan.models.build import untrained_network
from unipan.recipes.train import train
from unipan.recipes.training.setup import fresh_network
from unipan.types import Admission


def changed(config: Config, **schedule: object) -> Config:
    return replace(config, train=replace(config.train, **schedule))  # type: ignore[arg-type]


def test_bf16_trains_and_predicts_in_float32_as_the_saved_run_does(tiny_config: Config, tmp_path: Path) -> None:
    config = changed(tiny_config, precision="bf16", device="cpu", steps=4, save_every=2)
    network = train(config, tmp_path / "run").eval()
    loaded = untrained_network(config, training_dataset(config.data, 0).classes).eval()
    load_model(tmp_path / "run" / "model.safetensors", loaded)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        one, other = (n(images, [(64, 64)], admission=Admission(0.0, 4)).panoptic[0] for n in (network, loaded))
    assert torch.equal(one, other)
    state = load_training(RunFolder(tmp_path / "run").checkpoint(4))
    assert {tensor.dtype for tensor in state.weights.values()} <= {torch.float32, torch.int64}


def test_the_rate_is_scaled_and_told(tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(changed(tiny_config, reference_batch_size=8, steps=3, device="cpu"), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["learning_rate"] == pytest.approx(tiny_config.train.learning_rate * 2 / 8)
    message = capsys.readouterr()
    assert message.out == ""
    for part in ("0.005 (0.02 is meant for 8)", "2 images", "batch-norm statistics", "cpu", "fp32", "epochs of 1000000"):
        assert part in message.err


def test_a_warm_start_is_taken_from_the_file(tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    theirs = detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    torch.save(theirs, tmp_path / "weights.pth")
    config = changed(tiny_config, warm_start=str(tmp_path / "weights.pth"), steps=2, learning_rate=1e-6)
    config = replace(config, model=replace(config.model, backbone="resnet50", pretrained=True))
    state = train(config, tmp_path / "run").state_dict()
    wanted = theirs["backbone.body.layer3.2.conv2.weight"]
    torch.testing.assert_close(state["backbone.body.layer3.2.conv2.weight"], wanted, rtol=0, atol=1e-4)
    assert "Warm start from weights.pth" in capsys.readouterr().err


def test_a_warm_start_without_its_file_is_refused(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.warm_start: there is no file nowhere\.pth"):
        train(changed(tiny_config, warm_start="nowhere.pth"), tmp_path / "run")


@pytest.mark.parametrize(
    ("backbone", "kind", "said"),
    [("resnet50.tv_in1k", "two_stage", True), ("resnet50", "one_stage", False), ("tf_efficientnet_lite0", "two_stage", False)],
)
def test_a_start_from_nothing_is_said_where_it_need_not_be(
    backbone: str, kind: DetectorKind, said: bool, tiny_config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    model = replace(tiny_config.model, backbone=backbone, detector=replace(tiny_config.model.detector, kind=kind))
    fresh_network(replace(tiny_config, model=model), training_dataset(tiny_config.data, 0).classes)
    wanted = "Nothing starts from trained weights; --train.warm-start torchvision starts backbone and detector from a Mask R-CNN"
    assert (wanted in caplog.text) == said
