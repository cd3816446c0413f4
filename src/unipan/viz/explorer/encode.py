"""Arrays as text for the explorer's page: in 8 bits, compressed, in base64. h x w cells."""

import zlib
from base64 import b64encode
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

MAX_LEVEL = 255


def bytes_text(values: NDArray) -> str:
    """The array's bytes, row by row and little-endian, as zlib compresses them, in base64."""
    return b64encode(zlib.compress(values.tobytes(), 6)).decode("ascii")


def pooled(maps: Tensor, block: int) -> Tensor:
    """(K, h, w) -> (K, ceil(h / block), ceil(w / block)): means of blocks of cells; at the edge, of the cells that there are."""
    if block == 1 or not len(maps):
        return maps.float()
    return F.avg_pool2d(maps.float()[None], block, ceil_mode=True, count_include_pad=False)[0]


def quantised_features(features: Tensor) -> dict[str, Any]:
    """(D, h, w) in int8, one number after the other for all cells; value = scales[d] * level.

    A feature's error is at most half its scale.
    """
    flat = features.detach().float().cpu().flatten(1)
    scales = (flat.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    levels = (flat / scales[:, None]).round().to(torch.int8)
    return {"dim": len(flat), "scales": scales.tolist(), "values": bytes_text(levels.numpy())}


def quantised_channels(maps: Tensor) -> dict[str, Any]:
    """(K, h, w) in uint8, each channel over its own range; value = lows[k] + steps[k] * level, to half a step."""
    flat = maps.detach().float().cpu().flatten(1)
    lows, highs = flat.amin(1), flat.amax(1)
    steps = ((highs - lows) / MAX_LEVEL).clamp(min=torch.finfo(torch.float32).tiny)
    levels = ((flat - lows[:, None]) / steps[:, None]).round().clamp(0, MAX_LEVEL).to(torch.uint8)
    return {"lows": lows.tolist(), "steps": steps.tolist(), "values": bytes_text(levels.numpy())}
