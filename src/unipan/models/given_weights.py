"""A Mask R-CNN's weights as they are given: a file, or those that torchvision publishes. Nothing in them is executed."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from unipan.console import logger
from unipan.errors import InputError

PUBLISHED = "torchvision"
"""In place of a file: maskrcnn_resnet50_fpn as trained on COCO."""


def read_weights(source: str) -> dict[str, Tensor]:
    """Tensors by name, of .safetensors, of a PyTorch file, or torchvision's published ones, which it keeps in its cache."""
    state = _published() if source == PUBLISHED else _of_file(Path(source))
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"train.warm_start: {source} holds no state dict (tensors by name); save the network's state_dict().")
    return dict(state)


def _of_file(path: Path) -> object:
    if not path.is_file():
        raise InputError(
            f"train.warm_start: there is no file {path}; check the path, or write {PUBLISHED} for what it publishes."
        )
    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes PyTorch's reader raise nearly anything
        raise InputError(
            f"train.warm_start: {path} is neither .safetensors nor a PyTorch file of tensors alone ({type(error).__name__}); "
            "save the network's state_dict()."
        ) from error


def _published() -> object:
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    weights = MaskRCNN_ResNet50_FPN_Weights.COCO_V1
    logger.info(f"Weights to start from: {weights.url} (170 MB, unless torchvision has them in its cache).")
    try:
        return weights.get_state_dict(map_location="cpu", progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no connection, a half file, a proxy's page in its place
        raise InputError(
            f"train.warm_start: cannot have torchvision's weights ({error}); fetch {weights.url} on a machine that can, and give "
            "the file instead."
        ) from error
