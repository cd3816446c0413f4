"""Does anything leak? A long-lived process trains, is stopped, resumes, evaluates and predicts, cycle after cycle.

    python benchmarks/soak.py --minutes 60 --json soak.json        (make soak)

Each cycle, with two loader processes: a run is stopped by SIGTERM at a random step and resumed; another, in a process of its own,
is killed by SIGKILL at a random moment and resumed here; both must end with the very bytes of a run that was never stopped. Then
one is evaluated and predicts, with that run's results. After each cycle memory, open file handles, threads and child processes
are counted (`soak_holds.py`). Fails where a model or a result differs, a process outlives its cycle, a handle stays open, memory
or what is alive in it grows (`soak_holds.BOUNDS`), or where no training was cut short at all.
"""

import argparse
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
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from soak_holds import State, faults, growth, read_state

from unipan.checkpoint import RunFolder
from unipan.config import Config
from unipan.console import console
from unipan.data.build import validation_dataset
from unipan.engine.interrupt import Stopped
from unipan.presets import scenes
from unipan.recipes.evaluate import evaluate
from unipan.recipes.predict import predict
from unipan.recipes.train import train
from unipan.recipes.training.checkpoints import saved_steps
from unipan.settings_file import load_config, save_config
from unipan.viz.canvas import as_pil

MOMENT_S = 0.5
"""After the step at which a process is to be killed: it may be in another, or save."""
ORPHANS_S = 30
"""Loader processes notice within seconds that the process they load for was killed; by then they must be gone."""

CHILD = "import sys; from pathlib import Path; from unipan.config import load_config; from unipan.recipes.train import train\n"
CHILD += "train(load_config(Path(sys.argv[1])), Path(sys.argv[2]))"


@dataclass(frozen=True)
class Results:
    """What a run must give, however often it was cut short: the bytes of its files."""

    model: bytes
    scores: bytes
    answers: bytes


def tiny() -> Config:
    """The demo's settings, shrunk: a cycle takes seconds."""
    small = scenes()
    detector = replace(small.model.detector, proposals=50, roi_samples=32, box_channels=32, max_detections=20)
    model = replace(small.model, pretrained=False, fpn_channels=16, decoder_channels=(16, 16), affinity_dim=8, detector=detector)
    schedule = replace(small.train, steps=16, batch_size=2, warmup_steps=4, decay_steps=(), workers=2, save_every=4, device="cpu")
    return replace(small, model=model, data=replace(small.data, scene_size=(64, 96), val_scenes=6), train=schedule)


def logged_steps(run: Path) -> int:
    log = RunFolder(run).log
    return log.read_bytes().count(b"\n") if log.exists() else 0


def stop_and_resume(config: Config, out: Path, dice: random.Random) -> bool:
    """SIGTERM to this process when the log has reached a random step; then go on. Whether that came before the end."""
    steps, ended = dice.randint(1, config.train.steps - 1), threading.Event()

    def monitor() -> None:
        while not ended.wait(0.01):
            if logged_steps(out) >= steps:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    # A signal that comes between the training's end and the watcher's must not end this process.
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    monitor_thread = threading.Thread(target=monitor)
    monitor_thread.start()
    try:
        with suppress(Stopped):
            train(config, out)
    finally:
        ended.set()
        monitor_thread.join()
        signal.signal(signal.SIGTERM, former)
    was_stopped = not RunFolder(out).is_finished
    if was_stopped:
        train(config, out, resume=True)
    return was_stopped


def kill_and_resume(config: Config, settings: Path, out: Path, dice: random.Random) -> bool:
    """SIGKILL a process that trains, about a random step from its first checkpoint on; then go on. Whether it was in time."""
    steps = dice.randint(config.train.save_every, config.train.steps - 1)
    command = [sys.executable, "-c", CHILD, str(settings), str(out)]
    child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    try:
        while child.poll() is None and not (saved_steps(RunFolder(out)) and logged_steps(out) >= steps):
            time.sleep(0.01)
        time.sleep(dice.uniform(0, MOMENT_S))
    finally:
        child.kill()
        output = child.communicate()[1].decode()
    if not saved_steps(RunFolder(out)):
        raise SystemExit(f"the process to be killed had failed before:\n{output}")
    until = time.monotonic() + ORPHANS_S
    while group_lives(child.pid):
        if time.monotonic() > until:
            raise SystemExit(f"loader processes of a killed training still live after {ORPHANS_S} s")
        time.sleep(0.1)
    was_killed = not RunFolder(out).is_finished
    train(config, out, resume=True)
    return was_killed


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def cycle(config: Config, folder: Path, expected: Results, dice: random.Random) -> list[str]:
    """In what ways a training was cut short."""
    stopped, killed = folder / "stopped", folder / "killed"
    ways = [("stopped", stop_and_resume(config, stopped, dice))]
    ways += [("killed", kill_and_resume(config, folder.parent / "settings.json", killed, dice))]
    for run in (stopped, killed):
        if RunFolder(run).model.read_bytes() != expected.model:
            raise SystemExit(f"the model in {run} is not that of a run that was never stopped")
    if results(killed, folder.parent / "images") != expected:
        raise SystemExit(f"the scores or the answers of {killed} are not those of a run that was never stopped")
    shutil.rmtree(folder)
    return [way for way, was in ways if was]


def results(run: Path, images: Path) -> Results:
    """Evaluate a run and let it predict."""
    evaluate(str(run))
    predict(str(run), [images], run / "answers")
    folder = RunFolder(run)
    return Results(folder.model.read_bytes(), folder.metrics.read_bytes(), (run / "answers" / "panoptic.json").read_bytes())


def prepare(config: Config, folder: Path) -> Results:
    """Settings and images for the cycles, and what a run gives which is never stopped."""
    save_config(config, folder / "settings.json")
    assert load_config(folder / "settings.json") == config
    (folder / "images").mkdir()
    held_out = validation_dataset(config.data)
    for index in range(len(held_out)):
        as_pil(held_out[index].image).save(folder / "images" / f"{index}.png")
    train(config, folder / "reference")
    return results(folder / "reference", folder / "images")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config, states, cut_short, dice = tiny(), [], Counter(stopped=0, killed=0), random.Random(0)
    found: list[str] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, Path(os.devnull).open("w") as nowhere:
        console.file, folder = nowhere, Path(name)
        expected = prepare(config, folder)
        print(" ".join(f"{column.name:>10}" for column in fields(State)), flush=True)
        while time.monotonic() - started < 60 * options.minutes or len(states) < 2:
            cut_short.update(cycle(config, folder / f"cycle{len(states)}", expected, dice))
            states.append(read_state(len(states) + 1, started))
            print(" ".join(f"{value:10}" for value in asdict(states[-1]).values()), flush=True)
            found = faults(states) + [f"no training was {way} before its end" for way, times in cut_short.items() if not times]
            if options.json:
                cycles = [asdict(entry) for entry in states]
                options.json.write_text(json.dumps({"faults": found, "cut_short": cut_short, "cycles": cycles}, indent=1))
    for name, (early, late) in growth(states).items():
        print(f"{name}: first quarter {early:,.10g}, last quarter {late:,.10g}")
    print(", ".join(f"{way} before the end: {times}" for way, times in cut_short.items()))
    print("\n".join(found) or f"nothing leaked in {len(states)} cycles, {states[-1].minutes:.0f} minutes")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
