"""`unipan benchmark`: how quick a run's predictor is here, part by part, and what memory it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from unipan.checkpoint import open_run
from unipan.choices import PanopticHead
from unipan.console import Table, counted
from unipan.errors import InputError, plural
from unipan.ops.device import peak_memory_mib
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.evaluate import evaluated, held_out
from unipan.types import Size

BEFORE, NETWORK, REST, ANSWER = "resize", "network", "admission and masks", "answer"
"""The parts that are no module of the network, and the whole network."""
LEAST_SIDE = 32


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What was measured; reading files is not in it."""

    device: str
    threads: int
    sizes: list[Size]
    """Of the images."""
    network_sizes: list[Size]
    """... at which the network saw them."""
    parts: list[dict[str, float]]
    """Of each image, seconds by part; they add up to its time."""
    memory_mib: float
    """The most that was held: of the GPU by tensors, else by the whole process."""

    @property
    def seconds(self) -> list[float]:
        """From pixels to the answer, of each image."""
        return [sum(one.values()) for one in self.parts]

    @property
    def images_per_second(self) -> float:
        return len(self.parts) / sum(self.seconds)

    def table(self) -> Table:
        """The middle image of each part, and its share."""
        middle = {name: median(one[name] for one in self.parts) for name in self.parts[0]}
        images = plural(len(self.parts), "image")
        table = Table(f"{images}, {_range(self.sizes)}, seen at {_range(self.network_sizes)}", "part", "ms", "share")
        for name, seconds in middle.items():
            table.add_row(name, f"{1000 * seconds:.1f}", f"{seconds / sum(middle.values()):.0%}")
        table.add_row("an image", f"{1000 * median(self.seconds):.1f}", "")
        return table

    def sentences(self) -> list[str]:
        """Speed and memory."""
        of = "of the GPU" if self.device.startswith("cuda") else "of the whole process"
        with_threads = f", {plural(self.threads, 'thread')}" if self.device == "cpu" else ""
        return [f"{self.images_per_second:.3g} images/s on {self.device}{with_threads}; at most {self.memory_mib:.0f} MiB {of}."]

    def to_json(self) -> dict[str, Any]:
        return {
            "device": self.device,
            "threads": self.threads,
            "images_per_second": self.images_per_second,
            "memory_mib": self.memory_mib,
            "images": [
                {"size": size, "network_size": network_size, "seconds": parts}
                for size, network_size, parts in zip(self.sizes, self.network_sizes, self.parts, strict=True)
            ],
        }


def benchmark(
    run: str,
    *,
    samples: int = 20,
    size: Size | None = None,
    root: str | None = None,
    head: PanopticHead | None = None,
    overrides: Overrides = NO_OVERRIDES,
    device: str = "auto",
) -> Benchmark:
    """Time the predictor on the run's first held-out images, or on noise of `size` (height, width), one image after another.

    The first image goes through once before, unmeasured. root: the data set's folder where it is not the one trained on.
    """
    if samples < 1:
        raise InputError(f"--samples is {samples}; at least one image is needed.")
    if size is not None and min(size) < LEAST_SIDE:
        raise InputError(f"--size is {size[0]} {size[1]}; give a height and a width of at least {LEAST_SIDE} px.")
    if size is not None and root is not None:
        raise InputError("--size and --data.root came; noise comes from no data set: give one of them.")
    predictor = load(run, head=head, device=device, overrides=overrides)
    images = _noise(size, samples) if size else _held_out(run, samples, root)
    pixels = [*images]
    _timed(predictor, pixels[0])
    parts = [_timed(predictor, one) for one in counted(pixels, "measuring", len(pixels))]
    sizes = [(one.shape[-2], one.shape[-1]) for one in pixels]
    found = predictor.device
    return Benchmark(
        device=str(found),
        threads=torch.get_num_threads(),
        sizes=sizes,
        network_sizes=[predictor.network_size(one) for one in sizes],
        parts=parts,
        memory_mib=peak_memory_mib(found if found.type == "cuda" else None),
    )


def _noise(size: Size, count: int) -> Iterator[Tensor]:
    random = torch.Generator().manual_seed(0)
    yield from (torch.randint(256, (3, *size), generator=random, dtype=torch.uint8) for _ in range(count))


def _held_out(run: str, samples: int, root: str | None) -> Iterator[Tensor]:
    dataset = held_out(run, evaluated(open_run(run)[1].data, root=root))
    yield from (dataset[index].image for index in range(min(samples, len(dataset))))


def _timed(predictor: Predictor, pixels: Tensor) -> dict[str, float]:
    """Seconds by part, from an image's pixels to its answer."""
    device, modules = predictor.device, dict(predictor.network.named_children())
    began = _now(device)
    with _clocked({NETWORK: predictor.network, **modules}, device) as spent:
        inference = predictor.infer(pixels, head=predictor.head)
    inferred = _now(device)
    predictor.answer(inference)
    ended = _now(device)
    network = spent.pop(NETWORK)
    return {
        BEFORE: inferred - began - network,
        **{name.replace("_", " "): seconds for name, seconds in spent.items()},
        REST: network - sum(spent.values()),
        ANSWER: ended - inferred,
    }


@contextmanager
def _clocked(modules: dict[str, nn.Module], device: torch.device) -> Iterator[dict[str, float]]:
    """Within, seconds that each module's forward takes are added up under its name."""
    spent, entered = dict.fromkeys(modules, 0.0), dict[str, float]()

    def enter(name: str) -> None:
        entered[name] = _now(device)

    def leave(name: str) -> None:
        spent[name] += _now(device) - entered[name]

    handles = []
    for name, module in modules.items():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: enter(name)))
        handles.append(module.register_forward_hook(lambda *_, name=name: leave(name)))
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


def _now(device: torch.device) -> float:
    """After all that the device was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return perf_counter()


def _range(sizes: list[Size]) -> str:
    """One size, or the smallest and the largest."""
    ordered = sorted(set(sizes), key=lambda size: size[0] * size[1])
    return " to ".join(f"{height} x {width}" for height, width in dict.fromkeys([ordered[0], ordered[-1]]))
