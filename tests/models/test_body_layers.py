"""Frozen batch norms folded into the convolutions before them: the same values and gradients, less kept for the backward pass."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from unipan.models import body_layers
from unipan.models.backbone import LITE0, Backbone
from unipan.models.body_layers import BodyConv, fold_frozen_norms, norm_pairs


def with_random_norms(body: nn.Module) -> nn.Module:
    """In float64 and evaluation mode, its norms far from those of a new network, which do nothing."""
    torch.manual_seed(0)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in ((module.running_mean, -0.3, 0.3), (module.running_var, 0.5, 2.0)):
                assert tensor is not None
                tensor.uniform_(low, high)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return body.double().eval()


def results_and_gradients(body: nn.Module, images: Tensor) -> dict[str, Tensor]:
    images = images.clone().requires_grad_()
    features = body(images)
    torch.stack([feature.square().mean() / feature.detach().square().mean() for feature in features]).sum().backward()
    gradients = {name: p.grad for name, p in body.named_parameters() if p.grad is not None}
    assert images.grad is not None
    return {f"feature {i}": f.detach() for i, f in enumerate(features)} | gradients | {"images": images.grad}


def folded(body: nn.Module) -> list[str]:
    return [name for name, module in body.named_modules() if isinstance(module, BodyConv) and module.norm]


@pytest.mark.parametrize(
    ("name", "unfolded"),
    [
        ("resnet10t", 0),
        ("resnet18", 0),  # its shortcuts are 1x1 convolutions with a stride
        (LITE0, 0),
        ("mobilenetv3_small_050", 0),
        ("densenet121", 62),  # those that read several layers' features, put together
        ("resnetv2_50", 16),  # those before a block's first convolution
    ],
)
def test_values_and_gradients_are_the_norms_own(name: str, unfolded: int) -> None:
    backbone = Backbone(name=name, pretrained=False, freeze_batchnorm=False, checkpointing=False)
    plain = with_random_norms(backbone.body)
    once = copy.deepcopy(plain)
    fold_frozen_norms(once, norm_pairs(once, (64, 64)))
    norms = [module for module in plain.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(folded(once)) == len(norms) - unfolded
    assert once.state_dict().keys() == plain.state_dict().keys()
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    expected, found = results_and_gradients(plain, images), results_and_gradients(once, images)
    assert found.keys() == expected.keys()
    for what, value in expected.items():
        torch.testing.assert_close(found[what], value, rtol=1e-8, atol=1e-10, msg=lambda text, what=what: f"{what}: {text}")


def test_a_convolutions_own_bias_is_multiplied_too() -> None:
    plain = with_random_norms(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    once = copy.deepcopy(plain)
    fold_frozen_norms(once, norm_pairs(once, (9, 9)))
    assert folded(once) == ["0"]
    images = torch.rand(1, 3, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(once(images), plain(images))


class Block(nn.Module):
    """Two convolutions and a norm; `way` says what reads what, in the order in which a list of features comes."""

    def __init__(self, way: Callable[..., list[Tensor]]) -> None:
        super().__init__()
        self.way = way
        self.one, self.other, self.norm = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.way(self.one, self.other, self.norm, images)


def read_twice(one: nn.Module, _other: nn.Module, norm: nn.Module, images: Tensor) -> list[Tensor]:
    features = one(images)
    return [features + norm(features)]


def also_a_feature(one: nn.Module, _other: nn.Module, norm: nn.Module, images: Tensor) -> list[Tensor]:
    features = one(images)
    return [features, norm(features)]


@pytest.mark.parametrize(
    "way",
    [
        lambda one, other, norm, images: [norm(one(images)) + norm(other(images))],
        lambda one, other, norm, images: [norm(one(one(images)))],
        lambda one, other, norm, images: [norm(one(images).relu())],
        lambda one, other, norm, images: [norm(one(images).relu_())],
        lambda one, other, norm, images: [norm(one(images) + other(images))],
        read_twice,
        also_a_feature,
    ],
    ids=["two convolutions", "one twice", "relu", "relu in place", "a sum", "read twice", "also a feature"],
)
def test_norms_that_are_not_a_convolutions_only_reader_stay(way: Callable[..., list[Tensor]]) -> None:
    body = with_random_norms(Block(way))
    fold_frozen_norms(body, norm_pairs(body, (2, 2)))
    assert folded(body) == []
    assert type(body.norm) is nn.BatchNorm2d


@pytest.mark.parametrize("name", ["resnet10t", LITE0])
def test_elsewhere_than_on_a_cpu_the_norms_work_themselves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone(name=name, pretrained=False, freeze_batchnorm=False, checkpointing=False)
    plain = with_random_norms(backbone.body)
    once = copy.deepcopy(plain)
    fold_frozen_norms(once, norm_pairs(once, (64, 64)))
    images = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    assert not torch.equal(once(images)[-1], plain(images)[-1]), "folded, the last bits differ"
    monkeypatch.setattr(body_layers, "_on_cpu", lambda _: False)
    assert all(torch.equal(ours, timms) for ours, timms in zip(once(images), plain(images), strict=True))


def test_only_frozen_norms_are_folded() -> None:
    assert [
        bool(folded(Backbone(name="resnet10t", pretrained=False, freeze_batchnorm=frozen, checkpointing=False).body))
        for frozen in (True, False)
    ] == [True, False]


def test_a_copy_has_norms_of_its_own() -> None:
    one = Backbone(name="resnet10t", pretrained=False, freeze_batchnorm=True, checkpointing=False).body
    other = copy.deepcopy(one)
    images = torch.rand(1, 3, 32, 32)
    before = one(images)[-1]
    with torch.no_grad():
        for module in other.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.add_(1)
    assert torch.equal(one(images)[-1], before)
    assert not torch.equal(other(images)[-1], before)


def test_less_is_kept_for_the_backward_pass() -> None:
    """Each convolution's own output, which its norm read, no longer is."""
    kept: dict[bool, int] = {}
    for frozen in (True, False):
        backbone = Backbone(name="resnet10t", pretrained=False, freeze_batchnorm=frozen, checkpointing=False).eval()
        features_kept: dict[int, int] = {}

        def note(tensor: Tensor, found: dict[int, int] = features_kept) -> Tensor:
            if tensor.dim() == 4 and len(tensor) == 3:  # a feature of three images, not a weight
                found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            features = backbone(torch.rand(3, 3, 64, 64))
        kept[frozen] = sum(features_kept.values())
        assert len(features) == 4
    assert 0 < kept[True] < 0.6 * kept[False], kept
