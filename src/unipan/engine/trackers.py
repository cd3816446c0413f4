"""TensorBoard, Weights & Biases and trackio, through accelerate's trackers. log.jsonl is written in any case, by the recipe."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, assert_never

from PIL import Image

from unipan.choices import TrackerName
from unipan.errors import InputError

PROJECT = "unipan"
"""What the services file our runs under."""
PANELS = "held-out"
"""Name of the drawings."""


def need_trackers(names: Iterable[TrackerName]) -> None:
    """Refuse where a tracker's package is missing: better said before a training than after it."""
    for name in names:
        if find_spec(name) is None:
            raise InputError(
                f"train.trackers {name} needs the package {name}; install the extra: pip install 'unipan[{name}]', "
                "or leave it out (log.jsonl is written in any case)."
            )


class Tracker:
    """One tracker of one run; only the main process has any."""

    def __init__(self, name: TrackerName, folder: Path, settings: Mapping[str, Any], *, done: int) -> None:
        """folder: the run's; its name is the run's name. settings: flat. done: steps of a run that goes on."""
        self.name: TrackerName = name
        self._tracker: Any = _started(name, folder, settings, done)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name."""
        self._tracker.log(dict(values), step=step)

    def show(self, drawing: Image.Image, step: int) -> None:
        """A drawing of a few held-out images, with truth and answer."""
        import numpy as np

        match self.name:
            case "tensorboard":
                self._tracker.log_images({PANELS: np.array(drawing)[None]}, step=step, dataformats="NHWC")
            case "wandb":
                self._tracker.log_images({PANELS: [drawing]}, step=step)
            case "trackio":  # accelerate hands it no images
                import trackio  # pyright: ignore[reportMissingImports]

                self._tracker.log({PANELS: trackio.Image(np.array(drawing))}, step=step)
            case _:
                assert_never(self.name)

    def close(self) -> None:
        """Flush what is left."""
        self._tracker.finish()


def open_trackers(names: Sequence[TrackerName], folder: Path, settings: Mapping[str, Any], *, done: int) -> list[Tracker]:
    """The trackers of a run, in the order given."""
    return [Tracker(name, folder, settings, done=done) for name in names]


def _started(name: TrackerName, folder: Path, settings: Mapping[str, Any], done: int):
    from accelerate.tracking import TensorBoardTracker, TrackioTracker, WandBTracker

    match name:
        case "tensorboard":
            # Steps that are done again after a resume replace what stood there of them.
            tracker = TensorBoardTracker("tensorboard", folder, purge_step=done + 1 if done else None)
            tracker.start()
            tracker.writer.add_text("settings", "\n".join(f"    {key} {value}" for key, value in settings.items()), done)
            return tracker
        case "wandb":
            tracker = WandBTracker(PROJECT, name=folder.name, dir=str(folder), group=folder.name, config=dict(settings))
        case "trackio":
            resume = "allow" if done else "never"
            tracker = TrackioTracker(PROJECT, name=folder.name, config=dict(settings), resume=resume)
        case _:
            assert_never(name)
    tracker.start()
    return tracker
