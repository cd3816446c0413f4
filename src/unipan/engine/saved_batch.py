"""A training batch on the disk, so that a step that went wrong can be looked at again. Nothing in the file can execute."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unipan.errors import InputError
from unipan.files import replace_atomically
from unipan.types import Batch, Target

KIND = "batch"
PARTS = ("boxes", "labels", "instances", "semantic")
"""A target's tensors; image i's are named `target.i.PART`."""


@dataclass(frozen=True)
class SavedBatch:
    """What `save_batch` wrote."""

    step: int
    batch: Batch
    broken: tuple[str, ...]
    """Losses that were not finite, or "gradient"."""


def save_batch(path: Path, saved: SavedBatch) -> None:
    """Write images, truth, sizes, names and seeds of one process's share of a step."""
    batch = saved.batch
    tensors = {"images": batch.images}
    tensors |= {f"target.{i}.{part}": getattr(target, part) for i, target in enumerate(batch.targets) for part in PARTS}
    metadata = {
        "kind": KIND,
        "step": str(saved.step),
        "broken": json.dumps(saved.broken),
        "sizes": json.dumps(batch.sizes),
        "names": json.dumps(batch.names),
        "seeds": json.dumps([target.seed for target in batch.targets]),
    }
    plain = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    replace_atomically(path, lambda temporary: save_file(plain, temporary, metadata))


def load_batch(path: Path) -> SavedBatch:
    """Read what `save_batch` wrote."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; a training writes RUN/faulty-batch-STEP.safetensors where a loss breaks.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}.") from error
    if metadata.get("kind") != KIND:
        raise InputError(
            f"{path} holds {metadata.get('kind', 'something else')}, but a batch that a training saved was expected."
        )
    try:
        return _assembled(metadata, tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is no whole batch ({error}); give one as a training saved it.") from error


def _assembled(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> SavedBatch:
    sizes = tuple((int(height), int(width)) for height, width in json.loads(metadata["sizes"]))
    targets = []
    for i, ((height, width), seed) in enumerate(zip(sizes, json.loads(metadata["seeds"]), strict=True)):
        parts = {part: tensors[f"target.{i}.{part}"] for part in PARTS}
        things = len(parts["labels"])
        expected = {"boxes": (things, 4), "labels": (things,), "instances": (height, width), "semantic": (height, width)}
        wrong = [part for part, shape in expected.items() if tuple(parts[part].shape) != shape]
        if wrong:
            raise ValueError(f"image {i}'s {wrong[0]} have the shape {tuple(parts[wrong[0]].shape)}")
        targets.append(Target(**parts, seed=int(seed)))
    images, names = tensors["images"], tuple(str(name) for name in json.loads(metadata["names"]))
    if images.ndim != 4 or images.shape[:2] != (len(sizes), 3) or len(names) != len(sizes) or not images.dtype == torch.float32:
        raise ValueError(f"{len(sizes)} sizes and {len(names)} names came with images {tuple(images.shape)} {images.dtype}")
    batch = Batch(images=images, sizes=sizes, targets=tuple(targets), names=names)
    return SavedBatch(int(metadata["step"]), batch, tuple(json.loads(metadata["broken"])))
