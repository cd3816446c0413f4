"""How fast a GPU takes a training step and a prediction, beside the peers: wall time, peak memory, and where the time goes."""

import gc
from collections.abc import Callable
from functools import partial
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

import torch
from bench_deform import FORMS, OFFSET_CELLS, SHAPES, forward_and_backward
from peers.scene import draw_scene
from torch.profiler import ProfilerActivity, profile

WAYS = {
    "unipan": "unipan_r50",
    "unipan, convex upsampling": "unipan_r50_convex",
    "unipan, fast": "unipan_r50_fast",
    "unipan, CUDA graphs": "unipan_r50_graphs",
    "unipan, fast, CUDA graphs": "unipan_r50_fast_graphs",
    "torchvision's Mask R-CNN": "torchvision_maskrcnn",
    "Mask2Former": "mask2former_r50",
}
"""Each a module of peers/."""
PRECISIONS = {"TF32": None, "bf16": torch.bfloat16}
"""What autocast computes in; TF32 is float32 as PyTorch's users run it on such a GPU."""
WARM_UP = 3
OPERATIONS = 12
"""Of a profile, the most expensive."""


def timed(device: torch.device, cases: dict[str, tuple[str, tuple[int, int]]], rounds: int) -> dict[str, Any]:
    """For each case and precision what each way takes; a way whose package is missing is left out."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    found: dict[str, Any] = {}
    for case, (kind, size) in cases.items():
        scene = draw_scene(size).to(device)
        for name, way in ways(device).items():
            if not hasattr(way, kind):
                continue
            before, work = _reserved(device), getattr(way, kind)(scene)
            for precision, dtype in PRECISIONS.items():
                times = _times(_in_precision(work, device, dtype), device, rounds, before)
                found.setdefault(f"{case}, {precision}", {})[name] = times
            del work  # or the next one's memory would be measured above this one's
    return found


def profiled(device: torch.device, cases: dict[str, tuple[str, tuple[int, int]]]) -> dict[str, Any]:
    """For each case where our time goes: milliseconds of the clock, of all work on the device, and of its dearest operations."""
    found: dict[str, Any] = {}
    for case, (kind, size) in cases.items():
        work = getattr(import_module("peers.unipan_r50"), kind)(draw_scene(size).to(device))
        clock = _times(work, device, rounds=5)["median_ms"]
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            work()
            _wait_for(device)
        events = seen.key_averages()
        kernels = [e for e in events if e.device_type.name == "CUDA"]  # the operations that launched them are listed beside
        own = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
        asked = sorted(((getattr(e, own) / 1000, e.key, e.count) for e in events if e not in kernels), reverse=True)
        found[case] = {
            "clock_ms": clock,
            "device_ms": sum(getattr(e, own) for e in kernels or events) / 1000,
            "launches": sum(e.count for e in kernels or events),
            "operations": {key: [ms, count] for ms, key, count in asked[:OPERATIONS]},
        }
    return found


def deformable(device: torch.device, rounds: int) -> dict[str, Any]:
    """Each form of the deformable convolution, forward and backward in float32: milliseconds and peak, by shape."""
    found: dict[str, Any] = {}
    for cin, cout, height, width in SHAPES:
        before = _reserved(device)
        x = torch.randn(1, cin, height, width, device=device, requires_grad=True)
        offsets = (OFFSET_CELLS * torch.randn(1, 18, height, width, device=device)).requires_grad_()
        weight = (torch.randn(cout, cin, 3, 3, device=device) / (9 * cin) ** 0.5).requires_grad_()
        found[f"deformable, {cin} to {cout}, {height} x {width}"] = {
            name: _times(partial(forward_and_backward, form, (x, offsets, weight)), device, rounds, before)
            for name, form in FORMS.items()
        }
    return found


def ways(device: torch.device) -> dict[str, Any]:
    """The modules of the ways that the device has, and whose packages are here."""
    found: dict[str, Any] = {}
    for name, module in WAYS.items():
        if "CUDA" in name and device.type != "cuda":
            continue
        try:
            found[name] = import_module(f"peers.{module}")
        except ModuleNotFoundError as missing:
            print(f"{name} is left out: {missing}")
    return found


def _in_precision(work: Callable[[], object], device: torch.device, dtype: torch.dtype | None) -> Callable[[], object]:
    def wrapped() -> None:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            work()

    return wrapped


def _times(work: Callable[[], object], device: torch.device, rounds: int, before: int = 0) -> dict[str, float]:
    """Milliseconds of the clock and the peak in MiB above `before`, in bytes. The first rounds choose kernels and don't count.

    The peak is what PyTorch takes from the device, for of a CUDA graph's memory no other figure knows.
    """
    for _ in range(WARM_UP):
        work()
    if device.type == "cuda":
        _reserved(device)
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    for _ in range(rounds):
        _wait_for(device)
        start = perf_counter()
        work()
        _wait_for(device)
        times.append(1000 * (perf_counter() - start))
    peak = (torch.cuda.max_memory_reserved(device) - before) / 2**20 if device.type == "cuda" else float("nan")
    return {"median_ms": median(times), "slowest_ms": max(times), "peak_mib": peak}


def _reserved(device: torch.device) -> int:
    """Bytes that are taken from the device once all that is free was given back."""
    if device.type != "cuda":
        return 0
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(device)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
