"""Time the three forms of the deformable convolution against each other on a CPU: python benchmarks/bench_deform.py [ROUNDS].

One run, interleaved: every round times each form once, forward and then forward with backward, so that a busy moment of the
machine hits all alike. Printed are medians and how many times faster than torchvision's operator each form is. On a machine
that others use too, set OMP_WAIT_POLICY=passive: threads that spin while they wait make every small operator slow.
"""

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
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


def measure(shape: tuple[int, int, int, int], rounds: int) -> dict[str, tuple[float, float]]:
    """For each form the median milliseconds of forward without gradients and of forward with backward."""
    cin, cout, height, width = shape
    x = torch.randn(1, cin, height, width, requires_grad=True)
    offsets = (OFFSET_CELLS * torch.randn(1, 18, height, width)).requires_grad_()
    weight = (torch.randn(cout, cin, 3, 3) / (9 * cin) ** 0.5).requires_grad_()
    forward_ms: dict[str, list[float]] = {name: [] for name in FORMS}
    both_ms: dict[str, list[float]] = {name: [] for name in FORMS}
    for _ in range(rounds + 1):
        for name, form in FORMS.items():
            start = perf_counter()
            with torch.no_grad():
                out = form(x, offsets, weight)
            middle = perf_counter()
            torch.autograd.grad(form(x, offsets, weight), (x, offsets, weight), out)
            forward_ms[name].append(1000 * (middle - start))
            both_ms[name].append(1000 * (perf_counter() - middle))
    return {name: (median(forward_ms[name][1:]), median(both_ms[name][1:])) for name in FORMS}  # the first round warms up


def main(rounds: int) -> None:
    table = Table(title=f"Deformable 3x3 convolution, CPU, {torch.get_num_threads()} threads, median of {rounds} rounds")
    for column in ("shape", "form", "forward ms", "ratio", "forward + backward ms", "ratio"):
        table.add_column(column, justify="right")
    for shape in SHAPES:
        cin, cout, height, width = shape
        times = measure(shape, rounds)
        slow_forward, slow_both = times["torchvision"]
        for name, (forward, both) in times.items():
            size = f"{cin} to {cout}, {height} x {width}"
            table.add_row(size, name, f"{forward:.0f}", f"{slow_forward / forward:.1f}", f"{both:.0f}", f"{slow_both / both:.1f}")
        table.add_section()
    Console(width=120).print(table)


if __name__ == "__main__":
    torch.manual_seed(0)
    main(rounds=int(sys.argv[1]) if len(sys.argv) > 1 else 7)
