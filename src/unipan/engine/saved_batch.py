"""A training batch on the disk, so that a step that went wrong can be looked at again. Nothing in the file can execute."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unipan.errors import InputError
from unipan.tensor_file import TensorFile, read_tensor_file, write_tensor_file
from unipan.types import Batch, Target

KIND = "batch"
PARTS = ("boxes", "labels", "instances", "semantic")
"""A target's tensors; image i's are named `target.i.PART`."""
IMAGES = (torch.uint8, torch.float32)
"""What images are stored as; earlier versions stored floats 0..1, which learn alike."""


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
    for i, target in enumerate(batch.targets):  # copies: the targets of a batch may share their memory
        tensors |= {f"target.{i}.{part}": getattr(target, part).clone() for part in PARTS}
    facts = {
        "step": saved.step,
        "broken": saved.broken,
        "sizes": batch.sizes,
        "names": batch.names,
        "seeds": [target.seed for target in batch.targets],
    }
    write_tensor_file(path, TensorFile(KIND, tensors, {name: json.dumps(value) for name, value in facts.items()}))


def load_batch(path: Path) -> SavedBatch:
    """Read what `save_batch` wrote."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; a training writes RUN/faulty-batch-STEP.safetensors where a loss breaks.")
    content = read_tensor_file(path, KIND, finite=False)
    try:
        return _assembled({name: json.loads(value) for name, value in content.facts.items()}, content.tensors)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is no whole batch ({error}); give one as a training saved it.") from error


def _assembled(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SavedBatch:
    sizes = tuple((int(height), int(width)) for height, width in facts["sizes"])
    targets = []
    for i, ((height, width), seed) in enumerate(zip(sizes, facts["seeds"], strict=True)):
        parts = {part: tensors[f"target.{i}.{part}"] for part in PARTS}
        things = len(parts["labels"])
        expected = {"boxes": (things, 4), "labels": (things,), "instances": (height, width), "semantic": (height, width)}
        wrong = [part for part, shape in expected.items() if tuple(parts[part].shape) != shape]
        if wrong:
            raise ValueError(f"image {i}'s {wrong[0]} have the shape {tuple(parts[wrong[0]].shape)}")
        targets.append(Target(**parts, seed=int(seed)))
    images, names = tensors["images"], tuple(str(name) for name in facts["names"])
    if images.ndim != 4 or images.shape[:2] != (len(sizes), 3) or len(names) != len(sizes) or images.dtype not in IMAGES:
        raise ValueError(f"{len(sizes)} sizes and {len(names)} names came with images {tuple(images.shape)} {images.dtype}")
    batch = Batch(images=images, sizes=sizes, targets=tuple(targets), names=names)
    return SavedBatch(int(facts["step"]), batch, tuple(facts["broken"]))
