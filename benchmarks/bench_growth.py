"""How a prediction grows with pixels, detections, classes and the batch: processor seconds of one thread, and memory.

    python benchmarks/bench_growth.py [--quick]

The demo's network with masks and random weights, on noise, from pixels to the answer. Each measurement is a process of its own;
time is its second call's, memory what its peak adds to the peak before the first. --quick: a look at the smallest values, which
is not recorded.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from time import process_time
from typing import Any

AXES = {
    "pixels": (0.1, 0.4, 1.0, 4.0, 16.0),
    "detections": (0, 10, 30, 100, 300),
    "classes": (10, 30, 100, 300, 1000),
    "batch": (1, 2, 4, 8),
}
USUAL = {"pixels": 0.1, "detections": 30, "classes": 20, "batch": 1}
"""What the others are while one grows."""
ROUNDS = 3


def predictor_of(detections: int, classes: int) -> Any:
    """Which keeps and admits exactly so many detections, however little it believes in them."""
    from unipan.classes import ClassInfo, ClassTable
    from unipan.models.build import build_network
    from unipan.predictor import Predictor
    from unipan.presets import demo

    base = demo()
    settings = replace(base.model.detector, score_threshold=0.0, max_detections=max(detections, 1), nms=1.0)
    model = replace(base.model, pretrained=False, masks=True, variant="B", detector=settings)
    inference = replace(base.inference, score_threshold=0.0 if detections else 1.0, max_admitted=max(detections, 1))
    config = replace(base, model=model, inference=inference, data=replace(base.data, short_side=0, long_side=0))
    table = ClassTable(
        tuple(
            ClassInfo(name=f"class {index}", is_thing=index % 2 == 0, dataset_id=index + 1, color=(0, 0, 0), supercategory="")
            for index in range(classes)
        )
    )
    return Predictor(build_network(model, table), table, config)


def measure(axis: str, value: float) -> dict[str, float]:
    """Of one prediction, all but `axis` as usual; this process is used up by it."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    at = USUAL | {axis: value}
    predictor = predictor_of(int(at["detections"]), int(at["classes"]))
    side = round((at["pixels"] * 1e6) ** 0.5 / 32) * 32
    images = [torch.randint(0, 256, (3, side, side), dtype=torch.uint8) for _ in range(int(at["batch"]))]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = len(predictor.infer(images[0]).admitted.scores)
    assert found == at["detections"], f"{found} detections were admitted, {at['detections']} were to be"
    start = process_time()
    predictor(images, batch_size=len(images))
    seconds = process_time() - start
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": seconds, "mib": max(added, 1.0)}  # which has a logarithm


def measured_apart(axis: str, value: float) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", axis, str(value)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(axes: dict[str, tuple[float, ...]], rounds: int) -> dict[str, Any]:
    """All values of all axes, round by round, so that a busy moment does not bend a curve."""
    found = {
        name: {"values": list(values), "seconds": [[] for _ in values], "mib": [[] for _ in values]}
        for name, values in axes.items()
    }
    for _ in range(rounds):
        for name, values in axes.items():
            for index, value in enumerate(values):
                once = measured_apart(name, value)
                found[name]["seconds"][index].append(once["seconds"])
                found[name]["mib"][index].append(once["mib"])
                print(f"{name} {value:g}: {once['seconds']:.2f} s, {once['mib']:.0f} MiB", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", nargs=2, metavar=("AXIS", "VALUE"), help="in this process, as JSON")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure[0], float(given.measure[1]))))
        return
    from growth import CURVES, draw_curves, growth_table
    from record import record_growth

    if given.quick:
        print("\n".join(growth_table(measured({name: values[:3] for name, values in AXES.items()}, rounds=1))))
        return
    found = measured(AXES, ROUNDS)
    draw_curves(found, CURVES)
    record_growth("bench_growth", found, note=f"Medians of {ROUNDS} rounds.")


if __name__ == "__main__":
    main()
