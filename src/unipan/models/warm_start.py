"""Start from torchvision's Mask R-CNN: a state dict of maskrcnn_resnet50_fpn or its _v2, by name.

A part (backbone, pyramid, proposals, box head, mask head) is taken or left whole, for half of one computes nothing sensible.
Convolutions with a batch norm that our part lacks are taken with the norm folded into them. torchvision's published v1 weights
were trained with a batch-norm epsilon of 0, ours is 1e-5: their features differ by that.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from unipan.errors import InputError
from unipan.models.class_rows import ClassRows, mixed_rows
from unipan.models.given_weights import read_weights
from unipan.models.network import PanopticNetwork

PARTS = {
    "backbone": ("backbone.body.",),
    "pyramid": ("fpn.",),
    "proposals": ("detector.proposals.",),
    "box head": ("detector.roi_heads.box_",),
    "mask head": ("detector.roi_heads.mask_",),
}
"""Where each part's tensors are in our network."""

RENAMED = (
    (r"^backbone\.fpn\.", "fpn."),
    (r"^rpn\.", "detector.proposals.rpn."),
    (r"^roi_heads\.", "detector.roi_heads."),
    # Files from before torchvision 0.14, its published v1 weights among them.
    (r"^(fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2"),
    (r"(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
)
"""torchvision's names -> ours, applied one after another."""

ANCHOR_SCALE, ASPECT_RATIOS = 8.0, (0.5, 1.0, 2.0)
"""Of torchvision's anchors (32 px at stride 4): its proposals mean nothing with others."""

NORM_EPSILON = 1e-5
"""Of torchvision's batch norms."""


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """What became of a file."""

    source: str
    """The file, or what stands for one."""
    taken: dict[str, int]
    """Tensors taken, by part."""
    left: dict[str, str]
    """Parts left as they were, and why."""
    classes_taken: tuple[str, ...]
    classes_left: tuple[str, ...]
    """Thing classes whose rows in the box and mask head start from the file, and those that start anew."""


def warm_start(
    network: PanopticNetwork, source: str, *, things: Sequence[str], anchor_scale: float, aspect_ratios: Sequence[float]
) -> WarmStart:
    """Fill `network` as far as it fits. source: as in `read_weights`. things: names of the thing classes, in their order."""
    given = renamed(read_weights(source))
    own = network.state_dict()
    rows = matched_classes(given, things)
    layers = {f"detector.{name}": layer for name, layer in network.detector.class_rows().items()}
    taken, left = {}, {}
    for part, prefixes in PARTS.items():
        wanted = _of_part(own, prefixes)
        if not wanted:
            left[part] = "this network has no such part"
            continue
        if part == "proposals" and (anchor_scale, tuple(aspect_ratios)) != (ANCHOR_SCALE, ASPECT_RATIOS):
            left[part] = f"this network's anchors are not torchvision's (scale {ANCHOR_SCALE:g}, ratios 0.5 1 2)"
            continue
        try:
            chosen = _fitted(_of_part(given, prefixes), wanted, rows, layers)
        except _Unfit as reason:
            left[part] = str(reason)
            continue
        network.load_state_dict(chosen, strict=False)
        taken[part] = len(chosen)
    if "backbone" in left:
        raise InputError(
            f"{source} does not fit as train.warm_start: {left['backbone']}. Give a state dict of torchvision's "
            "maskrcnn_resnet50_fpn or maskrcnn_resnet50_fpn_v2, and set --model.backbone resnet50."
        )
    heads = taken.keys() & {"box head", "mask head"}
    known = tuple(things[position - 1] for position in sorted(rows) if position) if heads else ()
    return WarmStart(
        source=source,
        taken=taken,
        left=left,
        classes_taken=known,
        classes_left=tuple(name for name in things if name not in known),
    )


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's tensors under our names. Counters of batch norms, which nothing uses, are dropped."""
    return {_our_name(name): tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def _our_name(name: str) -> str:
    for pattern, ours in RENAMED:
        name = re.sub(pattern, ours, name)
    # Also from before torchvision 0.14: mask_fcn1..4 instead of 0.0..3.0.
    return re.sub(r"mask_head\.mask_fcn(\d)\.", lambda found: f"mask_head.{int(found[1]) - 1}.0.", name)


def matched_classes(given: Mapping[str, Tensor], things: Sequence[str]) -> dict[int, int]:
    """Our label -> the file's label, for the background (0) and for the classes that both have, told by name.

    A state dict holds no names; one of 91 labels is taken for COCO's. Any other shares the background alone.
    """
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    names: list[str] = MaskRCNN_ResNet50_FPN_Weights.DEFAULT.meta["categories"]
    scores = given.get("detector.roi_heads.box_predictor.cls_score.weight")
    if scores is None or len(scores) != len(names):
        return {0: 0}
    label_of = {name.lower(): label for label, name in enumerate(names) if label and name != "N/A"}
    ours = enumerate((name.lower() for name in things), start=1)
    return {0: 0} | {label: label_of[name] for label, name in ours if name in label_of}


class _Unfit(Exception):
    """Why a part is left."""


def _of_part(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith(tuple(prefixes))}


def _fitted(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], rows: Mapping[int, int], layers: Mapping[str, ClassRows]
) -> dict[str, Tensor]:
    """The part's tensors in our shapes; `_Unfit` if one is missing, left over or of another shape.

    rows: our label -> the file's. layers: those with rows for labels, by their names in our network.
    """
    wanted = {name: tensor for name, tensor in own.items() if not name.endswith("num_batches_tracked")}
    given = _folded(given) if given.keys() - wanted.keys() else dict(given)
    missing, unknown = wanted.keys() - given.keys(), given.keys() - wanted.keys()
    if not given:
        raise _Unfit("the file has no such part")
    if missing or unknown:
        name = min(missing or unknown)
        raise _Unfit(f"the file {'lacks' if missing else 'has more layers, among them'} {name}")
    fitted = {}
    for name, tensor in wanted.items():
        layer = name.rpartition(".")[0]
        value = given[name]
        if layer in layers:
            value = mixed_rows(tensor, value, layers[layer].each, rows)
        if value.shape != tensor.shape:
            raise _Unfit(f"{name} is {tuple(value.shape)} in the file, but {tuple(tensor.shape)} here")
        fitted[name] = value
    return fitted


def _folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convolutions X.0 that are followed by a batch norm X.1, as one convolution with a bias."""
    norms = [name.removesuffix("1.running_mean") for name in state if name.endswith(".1.running_mean")]
    folded = {name: tensor for name, tensor in state.items() if not name.startswith(tuple(f"{block}1." for block in norms))}
    for block in norms:
        if f"{block}0.weight" not in state:
            continue
        norm = {kind: state[f"{block}1.{kind}"] for kind in ("weight", "bias", "running_mean", "running_var")}
        scale = norm["weight"] / (norm["running_var"] + NORM_EPSILON).sqrt()
        folded[f"{block}0.weight"] = state[f"{block}0.weight"] * scale[:, None, None, None]
        folded[f"{block}0.bias"] = norm["bias"] - norm["running_mean"] * scale
    return folded
