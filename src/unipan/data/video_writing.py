"""Videos, written in parts that are joined, by PyAV (extra `video`)."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from unipan.data.video import Video, VideoFrame
from unipan.errors import InputError
from unipan.files import replace_atomically

PART_FORMAT = "nut"
"""Keeps times exactly, so that parts are joined by copying."""
CODEC, CODEC_OPTIONS = "libx264", {"crf": "20", "preset": "veryfast", "bf": "0"}
"""Without B-frames, packets are in the order of their times, so that parts follow one another."""


def check_codec() -> None:
    """Raises: InputError where PyAV can't write what `write_part` writes."""
    import av

    if CODEC not in av.codecs_available:
        raise InputError(
            f"this build of PyAV cannot write H.264 ({CODEC}); install PyAV's own wheels: pip install 'unipan[video]'."
        )


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


def _encode(path: Path, frames: Iterable[VideoFrame], video: Video) -> int:
    """Returns how many frames there were."""
    import av
    from av.codec.context import Flags
    from av.video.reformatter import ColorRange, Colorspace

    count, colors = 0, (Colorspace.ITU709, ColorRange.MPEG)
    with av.open(str(path), "w", format=PART_FORMAT) as out:
        stream: Any = None
        for pixels, time in frames:
            odd = [(0, side % 2) for side in pixels.shape[:2]]
            even = np.pad(pixels, (*odd, (0, 0)), mode="edge")  # H.264 wants even sides
            if stream is None:
                stream = out.add_stream(CODEC, rate=video.rate, options=CODEC_OPTIONS)
                stream.height, stream.width, stream.pix_fmt = *even.shape[:2], "yuv420p"
                stream.codec_context.time_base = video.time_base
                stream.codec_context.sample_aspect_ratio = video.aspect
                stream.codec_context.colorspace, stream.codec_context.color_range = colors  # players guess what no tag tells
                stream.codec_context.color_primaries, stream.codec_context.color_trc = video.primaries_and_curve
                stream.codec_context.flags |= Flags.global_header  # MP4 wants it, once for all parts
            rgb = av.VideoFrame.from_ndarray(even, format="rgb24")
            frame = rgb.reformat(format="yuv420p", dst_colorspace=colors[0], dst_color_range=colors[1])
            frame.pts, frame.time_base = time, video.time_base
            out.mux(stream.encode(frame))
            count += 1
        out.mux(stream.encode(None))
    return count
