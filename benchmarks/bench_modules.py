"""Where a training step's and a prediction's time goes, part by part of the network, on the peers' scene and sizes.

The profiler's clock, one thread. Time in the backward pass belongs to the part whose forward pass it is of.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch
from bench_peers import CASES, ROUNDS
from peers import unipan_r50, unipan_r50_fast
from peers.scene import draw_scene
from record import record_parts
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from unipan.losses.criterion import Criterion
from unipan.models.network import PanopticNetwork

MODULES = {
    "backbone": "backbone",
    "fpn": "pyramid",
    "semantic_head": "semantic head",
    "shared_decoder": "block that both heads share",
    "affinity_head": "affinity head",
    "detector": "detector: matching, sampling, losses",
    "detector.proposals": "RPN",
    "detector.roi_heads.box_roi_pool": "RoIAlign of boxes",
    "detector.roi_heads.box_head": "box head",
    "detector.roi_heads.box_predictor": "box head",
    "detector.roi_heads.mask_roi_pool": "RoIAlign of masks",
    "detector.roi_heads.mask_head": "mask head",
    "detector.roi_heads.mask_predictor": "mask head",
    "potential": "potential",
    "existence_head": "existence",
    "panoptic_head": "propagation and logits",
}
"""Of a network's modules; what a module inside another takes is not the outer one's."""
FAST = tuple(CASES)[:2]
"""What is taken apart of `cityscapes_r50_fast` too."""
LOSSES = "losses of the maps"
REST = "rest"
MARK = "part: "
BACKWARD = "autograd::engine::evaluate_function: "


def main() -> None:
    torch.set_num_threads(1)
    parts: dict[str, list[dict[str, float]]] = {}
    for case, way in [(case, unipan_r50) for case in CASES] + [(case, unipan_r50_fast) for case in FAST]:
        kind, size = CASES[case]
        column = f"{case}, fast" if way is unipan_r50_fast else case
        torch.manual_seed(0)
        with marked():
            work = getattr(way, kind)(draw_scene(size))
            work()
            parts[column] = [profiled(work) for _ in range(ROUNDS)]
        print(f"{column}: {sum(parts[column][-1].values()) / 1000:.2f} s", flush=True)
    record_parts(Path(__file__).stem, parts)


@contextmanager
def marked():
    """Every network that runs in here, and the criterion's call, tell the profiler their parts."""
    with ExitStack() as stack:
        stack.enter_context(_replaced(PanopticNetwork, "__init__", _marking_modules))
        stack.enter_context(_replaced(Criterion, "__call__", partial(_marking, label=LOSSES)))
        yield


@contextmanager
def _replaced(owner: type, name: str, change: Callable[[Callable], Callable]):
    original = getattr(owner, name)
    setattr(owner, name, change(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _marking_modules(init: Callable) -> Callable:
    def marking(network: nn.Module, **parts: object) -> None:
        init(network, **parts)
        for path, label in MODULES.items():
            module = network.get_submodule(path)
            module.forward = _marking(module.forward, label=label)

    return marking


def _marking(function: Callable, *, label: str) -> Callable:
    def marking(*given: object, **named: object) -> object:
        with record_function(MARK + label):
            return function(*given, **named)

    return marking


def profiled(work: Callable[[], object]) -> dict[str, float]:
    """Milliseconds of each part, and of the rest."""
    with profile(activities=[ProfilerActivity.CPU]) as seen, record_function(MARK + REST):
        work()
    return times(seen.events() or [])


def times(events: Iterable[FunctionEvent]) -> dict[str, float]:
    """Milliseconds of each part: forward by its mark, backward by the operator's number, which both passes share."""
    found: dict[str, float] = defaultdict(float)
    part_of: dict[int, str] = {}
    backward: list[FunctionEvent] = []
    for event in events:
        around = _around(event)
        if event.name.startswith(BACKWARD):
            backward.append(event)
        elif event.name.startswith(MARK):
            found[event.name.removeprefix(MARK)] += event.cpu_time_total / 1000
            if around is not None:
                found[around.removeprefix(MARK)] -= event.cpu_time_total / 1000
        elif event.sequence_nr >= 0 and around is not None and around.startswith(MARK):
            part_of[event.sequence_nr] = around.removeprefix(MARK)
    for event in backward:
        numbers = [inner.sequence_nr for inner in event.cpu_children if inner.sequence_nr >= 0]
        label = part_of.get(numbers[0], REST) if numbers else REST
        found[label] += event.cpu_time_total / 1000
        found[REST] -= event.cpu_time_total / 1000  # one thread: the backward pass runs inside the outermost mark
    return dict(found)


def _around(event: FunctionEvent) -> str | None:
    """The innermost mark or step of the backward pass that an event is in."""
    outer = event.cpu_parent
    while outer is not None and not outer.name.startswith((MARK, BACKWARD)):
        outer = outer.cpu_parent
    return None if outer is None else outer.name


if __name__ == "__main__":
    main()
