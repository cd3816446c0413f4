"""Videos and cameras, read frame by frame by PyAV (extra `video`), which else `video_writing` alone knows. H x W pixels."""

import re
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.data.video_end import FrameTimes, early_end
from unipan.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame as LibavFrame

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv"})
CAMERAS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}:none", "avfoundation")}
"""How a system names its cameras, by their numbers, and through what they are read."""
DEFAULT_RATE = Fraction(25)
BT709, UNTOLD = 1, 2
"""Of the ways from RGB to what is encoded, by their numbers in H.273."""


class VideoFrame(NamedTuple):
    """One frame and its time, in units of its video's time base."""

    pixels: NDArray[np.uint8]  # (H, W, 3)
    time: int


def is_camera(path: Path) -> bool:
    """Whether a path is a camera's number: digits alone, and no file of that name."""
    return path.name == str(path) and path.name.isdecimal() and not path.exists()


def is_video(path: Path) -> bool:
    """By its name: what it holds is seen when it is opened."""
    return path.suffix.lower() in SUFFIXES or is_camera(path)


class Video:
    """An open video file or camera; use it in a `with`, and read its frames once."""

    def __init__(self, path: Path) -> None:
        """Raises: InputError where there is none, or it can't be read."""
        if find_spec("av") is None:
            raise InputError(f"{path} is a video, which needs PyAV; install the extra: pip install 'unipan[video]'.")
        self.path = path
        self._container = _open_camera(path) if is_camera(path) else _open(path)
        if not self._container.streams.video:
            raise InputError(f"{path} holds no video stream; name a video.")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = self._stream.average_rate or DEFAULT_RATE
        self.time_base = self._stream.time_base or 1 / self.rate
        self.frames = self._stream.frames
        """How many there are by its header; 0 where that does not say."""
        self.broken = ""
        """After the frames: why they end before the video does, or ""."""
        self._turns = 0  # quarters, of the frame that came last

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        from av.error import FFmpegError

        last, times = -1, FrameTimes()
        try:
            for frame in self._container.decode(self._stream):
                last = max(last + 1, frame.pts if frame.pts is not None else 0)
                times.add(float(last * self.time_base), float((frame.duration or 0) * self.time_base))
                self._turns = round(frame.rotation / 90)
                upright = np.rot90(_with_colors(frame).to_ndarray(format="rgb24"), k=self._turns)
                yield VideoFrame(np.ascontiguousarray(upright, dtype=np.uint8), last)
            self.broken = early_end(times, frames=self.frames, seconds=self._seconds)
        except FFmpegError as error:
            self.broken = error.strerror or str(error)

    @property
    def aspect(self) -> Fraction:
        """Width by height of a pixel, as the frames are given: upright."""
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        return 1 / aspect if self._turns % 2 else aspect

    @property
    def primaries_and_curve(self) -> tuple[int, int]:
        """Of the colors, by their numbers in H.273; 2 where the file does not say."""
        return self._stream.codec_context.color_primaries, self._stream.codec_context.color_trc

    @property
    def _seconds(self) -> float | None:
        """When the frames end, by the file's header, or None.

        Matroska says so in a tag, or for a stream that is alone. Of AVI frames count: libav cuts its duration to what is there.
        """
        stream, container = self._stream, self._container
        if container.format.name == "avi":
            return float(self.frames * self.time_base) or None
        if stream.duration:
            return float((max(stream.start_time or 0, 0) + stream.duration) * self.time_base)
        if tag := re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", "")):
            return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
        return container.duration / 1e6 if container.duration and len(container.streams) == 1 else None


def _with_colors(frame: "LibavFrame") -> "LibavFrame":
    """Where a file doesn't say how its colors are meant, as players read it: libav takes them all for BT.601's."""
    is_hd = frame.height >= 720 or frame.width > 1024
    if frame.colorspace == UNTOLD and is_hd and not frame.format.is_rgb:
        frame.colorspace = BT709
    return frame


def _open(path: Path) -> "InputContainer":
    if not path.is_file():
        raise InputError(f"there is no video {path}; check the path.")
    return _opened(lambda av: av.open(str(path)), f"{path} cannot be read as a video ({{}}); name another file, or convert it.")


def _open_camera(path: Path) -> "InputContainer":
    if sys.platform not in CAMERAS:
        raise InputError(f"{path} is a camera's number, but cameras are read on Linux and macOS alone; name a video file.")
    name, form = CAMERAS[sys.platform]
    sentence = f"camera {path} cannot be read ({{}}); name another number, or a video file."
    return _opened(lambda av: av.open(name.format(path), format=form), sentence)


def _opened(opening: Callable[[Any], "InputContainer"], sentence: str) -> "InputContainer":
    import av
    from av.error import FFmpegError

    try:
        return opening(av)
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(sentence.format(getattr(error, "strerror", None) or error)) from error
