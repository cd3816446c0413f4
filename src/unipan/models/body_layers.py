"""Convolutions of timm's networks, changed in place: padded by constants, and with the frozen batch norms behind them folded in.

Each keeps its weights, under their names, and its function (where it pads, on images whose sides are multiples of 32). Norms are
folded on a CPU alone, whose time goes by passes over memory; a GPU's goes by the number of operations too, and folding adds some.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.func import functional_call

from unipan.types import Size


class BodyConv(nn.Conv2d):
    """A convolution that may pad its input by itself, and may do what the frozen norm behind it did, on a CPU."""

    pads_end = False
    """Padded as TensorFlow does, where its stride divides the sides of what it is given: one more at the end."""
    norm: tuple[()] | tuple[nn.BatchNorm2d] = ()
    """The norm that is folded in; in a tuple, or it would be this module's child as well."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.norm or not _on_cpu(input):
            return self._padding_end(input, self.weight, self.bias)
        scale, shift = _scale_and_shift(*self.norm)
        bias = shift if self.bias is None else self.bias * scale + shift
        weight = self.weight * scale[:, None, None, None]
        if self.kernel_size == (1, 1) and self.padding == (0, 0) and self.stride != (1, 1) and not torch.compiler.is_exporting():
            read = input[..., :: self.stride[0], :: self.stride[1]]  # alone: its gradient is put together sooner so
            return F.conv2d(read, weight, bias, groups=self.groups)
        return self._padding_end(input, weight, bias)

    def _padding_end(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self.pads_end:
            return self._conv_forward(input, weight, bias)
        extra = [max(d * (k - 1) + 1 - s, 0) for k, s, d in zip(self.kernel_size, self.stride, self.dilation, strict=True)]
        one_more = all(e % 2 for e in extra) and self.dilation == (1, 1)
        if one_more and _on_cpu(input) and not torch.is_grad_enabled() and not torch.compiler.is_exporting():
            # As much on both sides, and zeros for the kernel's first row and column: no padded copy of a large map is made.
            return F.conv2d(input, F.pad(weight, (1, 0, 1, 0)), bias, self.stride, [e // 2 + 1 for e in extra], 1, self.groups)
        padded = F.pad(input, (extra[1] // 2, extra[1] - extra[1] // 2, extra[0] // 2, extra[0] - extra[0] // 2))
        return self._conv_forward(padded, weight, bias)


class _Folded(nn.BatchNorm2d):
    """A norm whose convolution does its work on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        return input if _on_cpu(input) else super().forward(input)


class _FoldedAct(BatchNormAct2d):
    """A norm whose convolution does its work on a CPU; its activation stays."""

    act: nn.Module
    drop: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(x)) if _on_cpu(x) else super().forward(x)


_FOLDED: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: _Folded, BatchNormAct2d: _FoldedAct}


def pad_by_constants(body: nn.Module) -> None:
    """Where timm works out TensorFlow's padding from each image's size, take what all multiples of 32 need: a graph is of any."""
    for module in body.modules():
        if isinstance(module, Conv2dSame):
            _as_body_conv(module).pads_end = True


def fold_frozen_norms(body: nn.Module, pairs: Iterable[tuple[str, str]]) -> None:
    """Let convolutions do what the batch norms behind them do, whose statistics stay as they are: a pass over memory less.

    pairs: those of `norm_pairs`.
    Such a norm multiplies and shifts each channel, so a convolution with multiplied weights and a bias does both at once, and
    through these gradients reach the norm's weight and bias. The norm's input, as large as a layer's output, is neither written
    nor kept for the backward pass. The body must be in evaluation mode, and no norm be replaced afterwards. Norms of other kinds
    than `nn.BatchNorm2d` and timm's `BatchNormAct2d` stay as they are, and those that are not a convolution's only reader.
    """
    for conv_name, norm_name in pairs:
        norm: Any = body.get_submodule(norm_name)
        _as_body_conv(body.get_submodule(conv_name)).norm = (norm,)
        norm.__class__ = _FOLDED[type(norm)]


def _on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _as_body_conv(conv: Any) -> BodyConv:
    conv.__class__ = BodyConv  # of the same weights and settings
    return conv


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def norm_pairs(body: nn.Module, size: Size) -> list[tuple[str, str]]:
    """Names of each convolution and of the batch norm that alone reads its output, as the gradient's graph of a run shows.

    size: (height, width) of an image that the body can take. The run is on the meta device, which computes shapes alone.
    """
    tensors = {**dict(body.named_parameters()), **dict(body.named_buffers())}
    on_meta = {name: torch.empty_like(t, device="meta", requires_grad=t.requires_grad) for name, t in tensors.items()}
    calls = Counter[str]()
    made: dict[Any, str] = {}  # graph node -> the convolution whose output it is
    read: list[tuple[Any, Any, str]] = []  # nodes of a norm's input and output, and the norm

    def note(name: str, module: Any, given: tuple[Tensor, ...], result: Tensor) -> None:
        calls[name] += 1
        if type(module) in (nn.Conv2d, BodyConv):
            made[result.grad_fn] = name
        elif type(module) in _FOLDED and module.affine and module.track_running_stats:
            read.append((given[0].grad_fn, result.grad_fn, name))

    image = torch.zeros(1, 3, *size, device="meta", dtype=next(body.parameters()).dtype)
    with ExitStack() as hooks, torch.enable_grad():
        for name, module in body.named_modules():
            hooks.enter_context(module.register_forward_hook(partial(note, name)))
        readers = _readers([feature.grad_fn for feature in functional_call(body, on_meta, (image,))])
    pairs = [(made[given], norm) for given, result, norm in read if given in made and readers[given] == 1 and readers[result]]
    return [(conv, norm) for conv, norm in pairs if calls[conv] == calls[norm] == 1]


def _readers(results: Iterable[Any]) -> Counter[Any]:
    """How often each node of the gradient's graph is read on the way to the results; being one of them counts too."""
    readers = Counter(results)
    waiting = list(readers)
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is not None:
                if not readers[node]:
                    waiting.append(node)
                readers[node] += 1
    return readers
