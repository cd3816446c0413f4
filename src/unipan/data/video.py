"""Videos and cameras, frame by frame, by PyAV (extra `video`): the one file that knows this library. H x W pixels of a frame."""

import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unipan.errors import InputError
from unipan.files import replace_atomically

if TYPE_CHECKING:
    from av.container import InputContainer

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv"})
CAMERAS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}:none", "avfoundation")}
"""How a system names its cameras, by their numbers, and through what they are read."""
PART_FORMAT = "nut"
"""Keeps times exactly, so that parts are joined by copying."""
CODEC, CODEC_OPTIONS = "libx264", {"crf": "20", "preset": "veryfast", "bf": "0"}
"""Without B-frames, packets are in the order of their times, so that parts follow one another."""
DEFAULT_RATE = Fraction(25)


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
        _check_codec()
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

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        from av.error import FFmpegError

        last = -1
        try:
            for frame in self._container.decode(self._stream):
                last = max(last + 1, frame.pts if frame.pts is not None else 0)
                upright = np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90))
                yield VideoFrame(np.ascontiguousarray(upright, dtype=np.uint8), last)
        except FFmpegError as error:
            self.broken = error.strerror or str(error)


def write_part(path: Path, frames: Iterator[VideoFrame], *, video: Video, most: int) -> int:
    """Write at most so many frames of a video, whole or not at all; returns how many. No file is written of none."""
    first, written = next(frames, None), []
    if first is None:
        return 0
    part = chain([first], islice(frames, most - 1))
    replace_atomically(path, lambda temporary: written.append(_encode(temporary, part, video)))
    return written[0]


def join_parts(path: Path, parts: Iterable[Path]) -> None:
    """Write the parts one after another as one video, by copying what is encoded."""
    import av

    def copy(temporary: Path) -> None:
        with av.open(str(temporary), "w", format="mp4") as out:
            stream: Any = None
            for part in parts:
                with av.open(str(part)) as container:
                    own = container.streams.video[0]
                    stream = stream or out.add_stream_from_template(own)
                    for packet in container.demux(own):
                        if packet.pts is not None:  # the last, which only says that there are no more
                            packet.dts, packet.stream = packet.pts, stream
                            out.mux(packet)

    replace_atomically(path, copy)


def _check_codec() -> None:
    import av

    if CODEC not in av.codecs_available:
        raise InputError(
            f"this build of PyAV cannot write H.264 ({CODEC}); install PyAV's own wheels: pip install 'unipan[video]'."
        )


def _encode(path: Path, frames: Iterable[VideoFrame], video: Video) -> int:
    """Returns how many frames there were."""
    import av
    from av.codec.context import Flags

    count = 0
    with av.open(str(path), "w", format=PART_FORMAT) as out:
        stream: Any = None
        for pixels, time in frames:
            odd = [(0, side % 2) for side in pixels.shape[:2]]
            even = np.pad(pixels, (*odd, (0, 0)), mode="edge")  # H.264 wants even sides
            if stream is None:
                stream = out.add_stream(CODEC, rate=video.rate, options=CODEC_OPTIONS)
                stream.height, stream.width, stream.pix_fmt = *even.shape[:2], "yuv420p"
                stream.codec_context.time_base = video.time_base
                stream.codec_context.flags |= Flags.global_header  # MP4 wants it, once for all parts
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            frame.pts, frame.time_base = time, video.time_base
            out.mux(stream.encode(frame))
            count += 1
        out.mux(stream.encode(None))
    return count


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
