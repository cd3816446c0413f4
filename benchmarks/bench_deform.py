"""Time the three forms of the deformable convolution against each other on a CPU: python benchmarks/bench_deform.py [ROUNDS].

On a machine that others use too, set OMP_WAIT_POLICY=passive: threads that spin while they wait make every small operator slow.
"""

import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter

import torch
from record import interleaved, record
from torch import Tensor
from torchvision.ops import deform_conv2d

from unipan.ops.deform import project_then_gather, sample_then_project

Form = Callable[[Tensor, Tensor, Tensor], Tensor]

SHAPES = ((256, 128, 64, 128), (128, 128, 128, 256))
"""(cin, cout, height, width): the first block on the finest level of a 256 x 512 image, the second on that of a 512 x 1024."""

OFFSET_CELLS = 1.0
"""Standard deviation of the offsets."""


def torchvision_operator(x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    return deform_conv2d(x, offsets, weight, padding=(1, 1))


FORMS: dict[str, Form] = {
    "torchvision": torchvision_operator,
    "sample_then_project": sample_then_project,
    "project_then_gather": project_then_gather,
}


def main(rounds: int) -> None:
    measured = {}
    for cin, cout, height, width in SHAPES:
        x = torch.randn(1, cin, height, width, requires_grad=True)
        offsets = (OFFSET_CELLS * torch.randn(1, 18, height, width)).requires_grad_()
        weight = (torch.randn(cout, cin, 3, 3) / (9 * cin) ** 0.5).requires_grad_()
        inputs, shape = (x, offsets, weight), f"{cin} to {cout}, {height} x {width}"
        forward = {name: partial(form, *(tensor.detach() for tensor in inputs)) for name, form in FORMS.items()}
        both = {name: partial(forward_and_backward, form, inputs) for name, form in FORMS.items()}
        measured[f"{shape}, forward"] = interleaved(forward, rounds, perf_counter)
        measured[f"{shape}, forward and backward"] = interleaved(both, rounds, perf_counter)
    record("bench_deform", measured, clock="wall time")


def forward_and_backward(form: Form, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    out = form(*inputs)
    torch.autograd.grad(out, inputs, out.detach())


if __name__ == "__main__":
    torch.manual_seed(0)
    main(rounds=int(sys.argv[1]) if len(sys.argv) > 1 else 7)
