"""Does anything leak? A long-lived process trains, is stopped, resumes, evaluates and predicts, cycle after cycle.

    python benchmarks/soak.py --minutes 60 --json soak.json        (make soak)

Each cycle, with two loader processes: a run is stopped by SIGTERM at a random step and resumed; another, in a process of its own,
is killed by SIGKILL at a random moment and resumed here; both must end with the very bytes of a run that was never stopped. Then
one is evaluated and predicts. After each cycle memory, open file handles, threads and child processes are counted.
Fails where a model differs, a process outlives its cycle, a handle stays open, or memory grows by more than MAX_GROWTH_MIB.
"""

import argparse
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from unipan.checkpoint import RunFolder
from unipan.config import Config, load_config, save_config
from unipan.data.build import validation_dataset
from unipan.engine.interrupt import Stopped
from unipan.presets import demo
from unipan.recipes.console import console
from unipan.recipes.evaluate import evaluate
from unipan.recipes.predict import predict
from unipan.recipes.train import train
from unipan.recipes.training.saving import saved_steps
from unipan.viz.canvas import as_pil

MAX_GROWTH_MIB = 32
"""Median of the last quarter of the cycles against that of the first quarter after the warm-up."""
WARM_UP = 0.2
"""Share of the cycles in which memory may find its level."""
ORPHANS_S = 30
"""Loader processes notice within seconds that the process they load for was killed; by then they must be gone."""

CHILD = "import sys; from pathlib import Path; from unipan.config import load_config; from unipan.recipes.train import train\n"
CHILD += "train(load_config(Path(sys.argv[1])), Path(sys.argv[2]))"


@dataclass(frozen=True)
class Look:
    """What the process holds after a cycle."""

    cycle: int
    minutes: float
    rss_mib: float
    handles: int
    threads: int
    children: int


def tiny() -> Config:
    """The demo's settings, shrunk: a cycle takes seconds."""
    small = demo()
    detector = replace(small.model.detector, proposals=50, roi_samples=32, box_channels=32, max_detections=20)
    model = replace(small.model, pretrained=False, fpn_channels=16, decoder_channels=(16, 16), affinity_dim=8, detector=detector)
    schedule = replace(small.train, steps=16, batch_size=2, warmup_steps=4, decay_steps=(), workers=2, save_every=4, device="cpu")
    return replace(small, model=model, data=replace(small.data, scene_size=(64, 96), val_scenes=6), train=schedule)


def look(cycle: int, started: float) -> Look:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    tasks = list(Path("/proc/self/task").iterdir())
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return Look(
        cycle=cycle,
        minutes=round((time.monotonic() - started) / 60, 2),
        rss_mib=round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        handles=len(list(Path("/proc/self/fd").iterdir())) - 1,
        threads=len(tasks),
        children=len(children),
    )


def stop_and_resume(config: Config, out: Path, dice: random.Random) -> None:
    """SIGTERM to this process when the log has reached a random step; then go on."""
    log, lines, ended = RunFolder(out).log, dice.randint(1, config.train.steps - 1), threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            if log.exists() and log.read_bytes().count(b"\n") >= lines:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    # A signal that comes between the training's end and the watcher's must not end this process.
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with suppress(Stopped):
            train(config, out)
    finally:
        ended.set()
        watcher.join()
        signal.signal(signal.SIGTERM, former)
    if not RunFolder(out).model.exists():
        train(config, out, resume=True)


def kill_and_resume(config: Config, settings: Path, out: Path, dice: random.Random) -> None:
    """SIGKILL a process that trains, at a random moment after its first checkpoint; then go on in this one."""
    command = [sys.executable, "-c", CHILD, str(settings), str(out)]
    child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    try:
        while child.poll() is None and not saved_steps(RunFolder(out)):
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 2))
    finally:
        child.kill()
        told = child.communicate()[1].decode()
    if not saved_steps(RunFolder(out)):
        raise SystemExit(f"the process to be killed had failed before:\n{told}")
    until = time.monotonic() + ORPHANS_S
    while group_lives(child.pid):
        if time.monotonic() > until:
            raise SystemExit(f"loader processes of a killed training still live after {ORPHANS_S} s")
        time.sleep(0.1)
    train(config, out, resume=True)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def cycle(config: Config, folder: Path, reference: bytes, dice: random.Random) -> None:
    stopped, killed = folder / "stopped", folder / "killed"
    stop_and_resume(config, stopped, dice)
    kill_and_resume(config, folder.parent / "settings.json", killed, dice)
    for run in (stopped, killed):
        if RunFolder(run).model.read_bytes() != reference:
            raise SystemExit(f"the model in {run} is not that of a run that was never stopped")
    evaluate(str(killed))
    predict(str(killed), [folder.parent / "images"], folder / "answers")
    shutil.rmtree(folder)


def faults(looks: list[Look]) -> list[str]:
    """A sentence for each thing that leaks."""
    warm = looks[int(len(looks) * WARM_UP) :]
    quarter = max(len(warm) // 4, 1)
    first, last = warm[:quarter], warm[-quarter:]
    found = [
        f"{name} grew from {early:g} to {late:g}"
        for name, bound in (("rss_mib", MAX_GROWTH_MIB), ("handles", 0), ("threads", 0))
        if (late := median(getattr(entry, name) for entry in last)) > (early := median(getattr(e, name) for e in first)) + bound
    ]
    return found + [f"cycle {entry.cycle} left {entry.children} child processes" for entry in looks if entry.children]


def prepare(config: Config, place: Path) -> bytes:
    """Settings and pictures for the cycles, and the model that a run gives which is never stopped."""
    save_config(config, place / "settings.json")
    assert load_config(place / "settings.json") == config
    (place / "images").mkdir()
    held_out = validation_dataset(config.data)
    for index in range(len(held_out)):
        as_pil(held_out[index].image).save(place / "images" / f"{index}.png")
    train(config, place / "reference")
    return RunFolder(place / "reference").model.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config, looks, dice = tiny(), [], random.Random(0)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, Path(os.devnull).open("w") as nowhere:
        console.file, place = nowhere, Path(name)
        reference = prepare(config, place)
        print(f"{'cycle':>5} {'minutes':>8} {'RSS MiB':>8} {'handles':>8} {'threads':>8} {'children':>8}", flush=True)
        while time.monotonic() - started < 60 * options.minutes or len(looks) < 2:
            cycle(config, place / f"cycle{len(looks)}", reference, dice)
            now = look(len(looks) + 1, started)
            looks.append(now)
            counts = f"{now.rss_mib:8.1f} {now.handles:8} {now.threads:8} {now.children:8}"
            print(f"{now.cycle:5} {now.minutes:8.1f} {counts}", flush=True)
            if options.json:
                options.json.write_text(
                    json.dumps({"faults": faults(looks), "cycles": [asdict(entry) for entry in looks]}, indent=1)
                )
    found = faults(looks)
    print("\n".join(found) or f"nothing leaked in {len(looks)} cycles, {looks[-1].minutes:.0f} minutes")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
