"""`unipan predict` of a video or a camera: its frames with their answers drawn over them, as a video."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import count, islice, takewhile
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import torch

from unipan.addresses import state_of
from unipan.choices import PanopticHead
from unipan.console import counted, logger
from unipan.data.image_ids import shown, unfit
from unipan.data.video import Video, VideoFrame, is_camera
from unipan.data.video_writing import PART_FORMAT, check_codec, join_parts, write_part
from unipan.engine.interrupt import requests_to_stop
from unipan.errors import InputError
from unipan.files import TEMPORARY, make_folder, sweep, write_json
from unipan.overrides import NO_OVERRIDES, Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.predict import origin_of
from unipan.viz.overlay import overlay

LONGEST_NAME = f"._overlay.json{TEMPORARY}"
"""The name of the JSON beside the result while it is written, around the stem."""
PART_FRAMES = 64
"""Frames of a part: what a kill loses at most."""
ORIGIN = "origin.json"
"""What a folder of parts follows from."""
VIDEO = "video"
"""The key of a video's name in that file and in the one beside the result."""


@dataclass(frozen=True, kw_only=True)
class VideoPrediction:
    """What came of a video."""

    path: Path
    frames: int
    """Drawn by this call."""
    before: int
    """Drawn by calls that were stopped."""
    broken: str
    """Why the frames end before the video does, or ""."""

    @property
    def sentence(self) -> str:
        """What was done.

        Raises: InputError, which says it too, where the video could not be read to its end.
        """
        before = f", {self.before} of them by calls before" if self.before else ""
        done = f"{self.path}: {self.frames + self.before} frames{before}."
        if self.broken:
            raise InputError(f"{done} Further ones can't be read ({self.broken}); see that the file is whole.")
        return done


def predict_video(
    run: str,
    source: Path,
    out: Path,
    *,
    head: PanopticHead | None = None,
    overrides: Overrides = NO_OVERRIDES,
    device: str = "auto",
) -> VideoPrediction:
    """Write OUT/STEM_overlay.mp4, frame by frame, with the frames' own times and without sound.

    OUT/STEM_overlay.json names the video, so that another one of this stem is refused and not written over it.

    source: a video file, or a camera's number. Frames are written in parts, OUT/STEM_parts, so that the same command goes on
    behind the last whole part of one that was killed; a camera's frames don't come again: it begins anew, and Ctrl-C ends it.
    head: another than the run's. overrides: limits and sizes other than the run's.
    """
    camera = is_camera(source)
    stem = f"camera{source}" if camera else source.stem
    target, parts = out / f"{stem}_overlay.mp4", out / f"{stem}_parts"
    named_in = target.with_suffix(".json")
    if not camera and target.resolve() == source.resolve():
        raise InputError(f"{source} is where its overlays would go; name another --out.")
    if fault := unfit(source.name, LONGEST_NAME):
        raise InputError(f"{shown(source)}: {fault}; rename the file.")
    _check_own(source, {target: named_in, parts: parts / ORIGIN})
    with Video(source) as video, requests_to_stop(lambda _: None) if camera else nullcontext(lambda: None) as asked:
        check_codec()
        predictor = load(run, head=head, device=device, overrides=overrides)
        settings = {"head": predictor.head, "overrides": asdict(overrides), "part_frames": PART_FRAMES}
        done = _begun(parts, origin_of(run, settings | _identity(source)), anew=camera)
        frames = iter(video)
        before = sum(1 for _ in islice(frames, len(done) * PART_FRAMES))
        left = max(video.frames - before, 0)
        drawn = _drawn(predictor, counted(frames, "predicting", left) if left else frames, lambda: asked() is not None)
        written = 0
        while number := write_part(part := parts / f"{len(done):06}.{PART_FORMAT}", drawn, video=video, most=PART_FRAMES):
            done.append(part)
            written += number
    if not done:
        reason = f" ({video.broken})" if video.broken else ""
        raise InputError(f"{source} holds no frame that can be read{reason}; name another video.")
    write_json(named_in, {VIDEO: _name(source)})  # before, as a kill in between would leave a video of nobody
    join_parts(target, done)
    rmtree(parts)
    return VideoPrediction(path=target, frames=written, before=before, broken=video.broken)


def _begun(parts: Path, origin: dict[str, Any], *, anew: bool) -> list[Path]:
    """The parts that a call of the same origin has written; their folder is made, and emptied of all others."""
    known = parts / ORIGIN
    try:
        same = not anew and json.loads(known.read_text()) == json.loads(json.dumps(origin))
    except (OSError, ValueError):
        same = False
    if not same:
        if known.is_file():
            logger.info(f"{parts} holds parts of another run or settings, or of what the video was before, which go.")
        for path in parts.glob(f"*.{PART_FORMAT}"):
            path.unlink()
        make_folder(parts)
        write_json(known, origin)
    sweep(parts)
    names = (parts / f"{number:06}.{PART_FORMAT}" for number in count())
    return list(takewhile(Path.is_file, names))


def _identity(source: Path) -> dict[str, Any]:
    """What tells a video from another, and from what it was before."""
    state = None if is_camera(source) else state_of(source)
    return {VIDEO: _name(source), **({} if state is None else state._asdict())}


def _name(source: Path) -> str:
    """What a video stays the same by when it is recorded anew."""
    return str(source) if is_camera(source) else str(source.resolve())


def _check_own(source: Path, results: dict[Path, Path]) -> None:
    """Refuse to touch what is of another video. results: each, if there, with the JSON that names its video.

    One without such a JSON, as of earlier versions, may be anyone's and is replaced. Raises: InputError.
    """
    for result, origin in results.items():
        try:
            named = json.loads(origin.read_text())[VIDEO] if result.exists() else _name(source)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if named != _name(source):
            raise InputError(f"{result} is of {named}, another video; name another --out, or remove it.")


def _drawn(predictor: Predictor, frames: Iterable[VideoFrame], stopped: Callable[[], bool]) -> Iterator[VideoFrame]:
    """One at a time, so that memory stays flat however long the video is."""
    for pixels, time in frames:
        if stopped():
            return
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        yield VideoFrame(np.asarray(overlay(predictor(image), image)), time)
