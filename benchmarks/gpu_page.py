"""docs/gpu.md, from the record that benchmarks/gpu.py wrote: `python benchmarks/gpu_page.py`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULT, PAGE = ROOT / "benchmarks" / "results" / "gpu.json", ROOT / "docs" / "gpu.md"

INTRODUCTION = """# What a GPU confirmed

`make gpu`: one image, drawn by `benchmarks/peers/scene.py`, random weights, the networks one after the other. It rewrites this
page; a part that a run leaves out keeps what an earlier one found:

{of}
"""
EQUALITY = """## Equal to the CPU

The largest difference from the CPU, relative: of values and gradients, of each loss and the gradient norm of
`cityscapes_r50`, and the share of pixels whose ids differ in each head's answer. float32 is without TF32. In half precision
rounding moves scores, and these decide which proposals the box head samples: a large `box_regression` is a sum over others.
CUDA graphs (`train.cuda_graphs`) and the compiled backbone are held against a pass without, both on the GPU; the latter with
PyTorch's own settings, TF32 in convolutions.
"""
RESUMED = """## Going on

A GPU adds in no fixed order, so the same seed gives other bits each time. Weights after {steps} steps, the largest
difference over the largest weight of its tensor, from an unbroken run: {differences}. On a CPU all of these are 0.
"""
TIMES = """## Time and memory

By the clock, after three rounds that warm up. The peak is what PyTorch took from the device above what it held before, the
network and a CUDA graph's buffers included.
"""
SHORT = """## Short trainings

What `log.jsonl` says: the median step after the first 20, and the loss of the last.
"""
PROFILE = """## Where the time goes

With PyTorch's own settings, one call: what the operations kept the device busy with. `torch.profiler` slows the clock, so
the call is timed without it.
"""


def page(content: dict[str, Any]) -> str:
    """What the record holds so far; a part that was not run is left out."""
    runs = content.get("runs", {})
    of = "\n".join(f"- {', '.join(part for part in runs if runs[part] == one)}: {one}" for one in dict.fromkeys(runs.values()))
    lines = [INTRODUCTION.format(**content, of=of)]
    if "confirmed" in content:
        parts = {**content["confirmed"], **({"torch.compile": content["compiled"]} if "compiled" in content else {})}
        rows = [(what, part, f"{value:.2g}") for what, found in parts.items() for part, value in found.items()]
        lines += [EQUALITY, *_table(("what", "", "difference"), rows), ""]
    if "resumed" in content:
        differences = ", ".join(f"{what} {value:.2g}" for what, value in content["resumed"].items())
        lines += [RESUMED.format(differences=differences, steps=content["resumed_steps"])]
    if "timed" in content:
        rows = [row for case, ways in {**content["timed"], **content.get("deformable", {})}.items() for row in _times(case, ways)]
        lines += [TIMES, *_table(("case", "way", "median, ms", "slowest, ms", "peak, MiB", "first / this"), rows), ""]
    if "profiled" in content:
        lines += [PROFILE, *(line for case, seen in content["profiled"].items() for line in _profile(case, seen))]
    if "short" in content:
        rows = [
            (f"`{run['command']}`", f"{1000 * run['step_seconds']:.0f}", f"{run['loss']:.2f}")
            for run in content["short"].values()
        ]
        lines += [SHORT, *_table(("way", "step, ms", "last loss"), rows), ""]
    if "trained" in content:
        lines += ["## Trained", "", *(_trained(run) for run in content["trained"].values()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _times(case: str, ways: dict[str, dict[str, float]]) -> Iterable[tuple[str, ...]]:
    first = next(iter(ways.values()))["median_ms"]
    for number, (way, t) in enumerate(ways.items()):
        ratio = f"{first / t['median_ms']:.2f}" if number else ""
        yield (case, way, f"{t['median_ms']:.1f}", f"{t['slowest_ms']:.1f}", f"{t['peak_mib']:.0f}", ratio)


def _profile(case: str, seen: dict[str, Any]) -> list[str]:
    sentence = (
        f"**{case}**: {seen['clock_ms']:.1f} ms by the clock; the device was busy for {seen['device_ms']:.1f} ms of them, "
        f"with {seen['launches']} kernels and copies."
    )
    rows = [(f"`{name}`", str(count), f"{ms:.2f}") for name, (ms, count) in seen["operations"].items()]
    return [sentence, "", *_table(("operation", "calls", "device, ms"), rows), ""]


def _trained(run: dict[str, Any]) -> str:
    groups = ", ".join(f"{name} {100 * run['quality'][name]['pq']:.1f}" for name in ("all", "things", "stuff"))
    return f"`unipan {run['command']}`: {run['seconds']:.0f} s from start to report, PQ {groups}.{run.get('note', '')}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    aligned = "".join("---|" if name in ("", "what", "case", "way", "operation") else "---:|" for name in header)
    return [f"| {' | '.join(header)} |", f"|{aligned}", *(f"| {' | '.join(row)} |" for row in rows)]


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULT.read_text())))
