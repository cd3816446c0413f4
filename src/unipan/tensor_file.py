"""Files of named tensors (safetensors): never code, the same bytes for the same tensors, and damage is noticed.

The format checks its header alone, so a CRC-32 of the values goes with it. Everything that a file says of itself stands under one
key, because safetensors writes several in an order that changes from process to process.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from unipan.errors import InputError
from unipan.files import replace_atomically

KEY = "kind"


@dataclass(frozen=True)
class TensorFile:
    """What a file holds."""

    kind: str
    tensors: dict[str, Tensor]
    facts: dict[str, str]
    """What else it says of itself."""


def write_tensor_file(path: Path, content: TensorFile) -> None:
    """Write it, wholly or not at all. Tensors come from any device."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in content.tensors.items()}
    facts = content.facts | {"crc32": _checksum(plain)}
    words = [content.kind, *(quote(word, safe="+") for fact in facts.items() for word in fact)]
    replace_atomically(path, lambda temporary: save_file(plain, temporary, {KEY: " ".join(words)}))


def read_tensor_file(path: Path, kind: str, *, finite: bool = True) -> TensorFile:
    """Read a whole, undamaged file of this kind; anything else is an InputError. finite: so are NaN and infinite numbers."""
    if not path.is_file():
        reason = "is no file" if path.exists() else "is missing. A training writes it at its first checkpoint and at its end"
        raise InputError(f"{path} {reason}.")
    try:
        # Not safe_open: its get_tensor never gives back two Python integers for each tensor (safetensors 0.8).
        data = path.read_bytes()
        tensors = dict(sorted(load(data).items()))  # it gives them in any order
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}.") from error
    except KeyError as error:
        raise InputError(f"{path} holds numbers of the type {error}, which cannot be read; unipan writes F32.") from error
    found, facts = _facts(data[8 : 8 + _header_size(data)])
    if found != kind:
        raise InputError(f"{path} holds {found or 'something else'}, but {kind} was expected.")
    if facts.pop("crc32", None) not in (None, _checksum(tensors)):
        raise InputError(f"{path} is damaged: its numbers are not those that were written (their CRC-32 differs).")
    broken = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken and finite:
        raise InputError(
            f"{path} holds NaN or infinite numbers, first in {broken[0]}: the training that wrote it had diverged. "
            "Go back to an earlier checkpoint, or train with a lower --train.learning-rate."
        )
    return TensorFile(kind, tensors, facts)


def read_facts(path: Path) -> dict[str, str]:
    """What a file says of itself, without its tensors."""
    try:
        with path.open("rb") as file:
            size = _header_size(file.read(8))
            return _facts(file.read(min(size, path.stat().st_size)))[1]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}.") from error


def _header_size(start: bytes) -> int:
    return int.from_bytes(start[:8], "little")


def _facts(header: bytes) -> tuple[str, dict[str, str]]:
    """Kind and facts, from a file's JSON header; it comes after its size, which takes eight bytes."""
    kind, *words = ((json.loads(header).get("__metadata__") or {}).get(KEY) or "").split() or [""]
    return kind, dict(zip(map(unquote, words[::2]), map(unquote, words[1::2]), strict=False))


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of the values, in the order of the names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"
