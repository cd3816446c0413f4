"""Whether a video's frames end before the video does: libav may end a file that was cut off as quietly as a whole one."""

from dataclasses import dataclass

LEAST_GAP, LEAST_GAP_COUNTED = 1.0, 0.2
"""Seconds by which frames may end early where a file doesn't say how many there are, and where it does."""


@dataclass
class FrameTimes:
    """The frames that came, in seconds, in whatever order."""

    count: int = 0
    end: float = 0.0
    """When the last one's time is over."""
    longest: float = 0.0
    """The longest time between one and the next."""
    _last: float = 0.0

    def add(self, time: float, lasts: float) -> None:
        """One more. lasts: for how long it is shown; 0 where the file does not say."""
        self.longest = max(self.longest, lasts, time - self._last if self.count else 0.0)
        self.end = max(self.end, time + lasts)
        self._last = time
        self.count += 1


def early_end(times: FrameTimes, *, frames: int, seconds: float | None) -> str:
    """Why the frames that came are not all, or "".

    frames: how many there are by the file's header; 0 where it does not say. seconds: when they end by it; None likewise.

    Both must fall short. Lists of edits hide frames, and so does a start in the midst of a group, but the end is reached, to a
    few frames where B-frames are shown late; where all frames came, the header may be wrong about the time.
    """
    allowed = max(LEAST_GAP_COUNTED, 4 * times.longest) if frames else max(LEAST_GAP, 2 * times.longest)
    if seconds is None or (frames and times.count >= frames) or times.end >= seconds - allowed:
        return ""
    return f"they end after {times.end:.1f} of {seconds:.1f} seconds"
