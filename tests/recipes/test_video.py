"""A video becomes an overlaid video, frame by frame; a call that was killed goes on; what can't be read is said."""

import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unipan.cli import main
from unipan.data import video as videos
from unipan.data.video import Video, VideoFrame, is_camera, is_video
from unipan.data.video_end import FrameTimes, early_end
from unipan.data.video_writing import join_parts, write_part
from unipan.errors import InputError
from unipan.predictor import Predictor
from unipan.recipes import video as recipe
from unipan.recipes.video import predict_video

FRAMES, RATE = 11, Fraction(10)


def moving_square() -> Iterator[NDArray[np.uint8]]:
    for number in range(FRAMES):
        pixels = np.full((63, 90, 3), 60, dtype=np.uint8)  # odd on one side
        pixels[20:40, 5 * number : 5 * number + 20] = (230, 90, 40)
        yield pixels


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    av = pytest.importorskip("av", reason="PyAV is missing: pip install 'unipan[video]'")
    path = tmp_path_factory.mktemp("video") / "clip.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 90, 63, "bgr0"
        for pixels in moving_square():
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "PART_FRAMES", 4)


def frames_of(path: Path) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Pixels, and times in seconds."""
    with Video(path) as video:
        frames = list(video)
        return [frame.pixels for frame in frames], [float(frame.time * video.time_base) for frame in frames]


def test_each_frame_is_overlaid_at_its_own_time(learnt_run: Path, clip: Path, tmp_path: Path, small_parts: None) -> None:
    found = predict_video(str(learnt_run), clip, tmp_path)
    assert (found.path, found.frames, found.before, found.broken) == (tmp_path / "clip_overlay.mp4", FRAMES, 0, "")
    drawn, times = frames_of(found.path)
    assert times == pytest.approx([number / 10 for number in range(FRAMES)], abs=0.002)
    assert [frame.shape for frame in drawn] == [(64, 90, 3)] * FRAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip_overlay.json", "clip_overlay.mp4"]  # the parts are gone
    plain = [np.abs(frame[:63].astype(int) - pixels).mean() for frame, pixels in zip(drawn, moving_square(), strict=True)]
    assert min(plain) > 3  # something is drawn over every one


def test_the_overlay_is_that_of_the_frame_alone(learnt_run: Path, clip: Path, tmp_path: Path) -> None:
    found = predict_video(str(learnt_run), clip, tmp_path)
    predictor = recipe.load(str(learnt_run))
    for number, (drawn, pixels) in enumerate(zip(frames_of(found.path)[0], moving_square(), strict=True)):
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        expected = np.asarray(recipe.overlay(predictor(image), image)).astype(int)
        assert np.abs(drawn[:63] - expected).mean() < 9, number  # H.264 halves the colors' resolution


def test_a_call_that_was_killed_goes_on(
    learnt_run: Path, clip: Path, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = predict_video(str(learnt_run), clip, tmp_path / "whole")
    answer, calls = Predictor.__call__, []

    def counting(self: Predictor, *given, **options):
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return answer(self, *given, **options)

    monkeypatch.setattr(Predictor, "__call__", counting)
    with pytest.raises(KeyboardInterrupt):
        predict_video(str(learnt_run), clip, tmp_path)
    assert not (tmp_path / "clip_overlay.mp4").exists()
    assert len(list((tmp_path / "clip_parts").glob("*.nut"))) == 2
    found = predict_video(str(learnt_run), clip, tmp_path)
    assert (found.frames, found.before, len(calls)) == (3, 8, 13)
    assert "8 of them by calls before" in found.sentence
    (one, times), (other, other_times) = frames_of(found.path), frames_of(whole.path)
    assert times == other_times
    assert len(times) == FRAMES
    assert all(np.array_equal(mine, yours) for mine, yours in zip(one, other, strict=True))


def test_parts_of_other_settings_are_not_taken(learnt_run: Path, clip: Path, tmp_path: Path, small_parts: None) -> None:
    parts = tmp_path / "clip_parts"
    parts.mkdir()
    (parts / "000000.nut").write_bytes(b"of another run")
    (parts / "origin.json").write_text("{}")
    assert predict_video(str(learnt_run), clip, tmp_path).before == 0


def test_a_second_video_of_the_stem_is_refused(learnt_run: Path, clip: Path, tmp_path: Path, small_parts: None) -> None:
    """Where the first one's result or parts are; the first itself may be drawn again, as may what no file names the video of."""
    out, other = tmp_path / "out", tmp_path / "clip.avi"
    other.write_bytes(clip.read_bytes())
    target = predict_video(str(learnt_run), clip, out).path
    before = target.read_bytes()
    with pytest.raises(InputError, match=r"clip_overlay\.mp4 is of .*clip\.mkv, another video; name another --out"):
        predict_video(str(learnt_run), other, out)
    assert target.read_bytes() == before
    assert predict_video(str(learnt_run), clip, out).frames == FRAMES
    target.unlink()
    (out / "clip_parts").mkdir()
    (out / "clip_parts" / "origin.json").write_text(json.dumps({"video": str(clip)}))
    with pytest.raises(InputError, match=r"clip_parts is of .*clip\.mkv, another video"):
        predict_video(str(learnt_run), other, out)
    (out / "clip_parts" / "origin.json").unlink()
    target.write_bytes(before)
    target.with_suffix(".json").unlink()
    assert predict_video(str(learnt_run), other, out).frames == FRAMES


def test_a_name_that_no_result_can_bear_is_told_before_anything_is_done(clip: Path, tmp_path: Path) -> None:
    long = tmp_path / f"{'a' * 240}.mkv"
    long.write_bytes(clip.read_bytes())
    with pytest.raises(InputError, match="its name, without its suffix, is longer than 237 bytes; rename the file"):
        predict_video("no run", long, tmp_path / "out")


def test_one_frame_at_a_time_is_held(clip: Path, tmp_path: Path) -> None:
    with Video(clip) as video:
        alive: list[int] = []
        frames = (frame for frame in video if alive.append(frame.time) or True)
        assert write_part(tmp_path / "a.nut", frames, video=video, most=3) == 3
        assert alive == [0, 1, 2] or len(alive) == 3  # no frame is read ahead
        assert write_part(tmp_path / "b.nut", frames, video=video, most=99) == FRAMES - 3
        assert write_part(tmp_path / "c.nut", frames, video=video, most=99) == 0
    assert not (tmp_path / "c.nut").exists()


def test_what_cannot_be_read_is_said(learnt_run: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "cut.mkv").write_bytes(clip.read_bytes()[:400])
    with pytest.raises(InputError, match=r"text\.mp4 cannot be read as a video \(Invalid data"):
        predict_video(str(learnt_run), tmp_path / "text.mp4", tmp_path)
    with pytest.raises(InputError, match=r"there is no video .*absent\.mp4"):
        predict_video(str(learnt_run), tmp_path / "absent.mp4", tmp_path)
    with pytest.raises(InputError, match=r"cut\.mkv (holds no frame that can be read|cannot be read)"):
        predict_video(str(learnt_run), tmp_path / "cut.mkv", tmp_path)
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(videos, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'unipan\[video\]'"):
        predict_video(str(learnt_run), clip, tmp_path)


def test_a_number_is_a_camera_and_a_file_of_that_name_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_camera(Path("77"))
    assert is_video(Path("a.MOV"))
    assert not is_video(Path("a.jpg"))
    pytest.importorskip("av")
    with pytest.raises(InputError, match="camera 77 cannot be read"):
        Video(Path("77"))
    Path("77").touch()
    assert not is_camera(Path("77"))


def test_the_command(learnt_run: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", str(learnt_run), str(clip), "--out", str(tmp_path)])
    assert f"clip_overlay.mp4: {FRAMES} frames." in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(learnt_run), str(clip), "image.jpg", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "a video comes alone" in capsys.readouterr().err


def encoded(path: Path, *, times: list[int], options: dict[str, str], **tags: object) -> Path:
    """Noise at these times, in hundredths of a second, by H.264; MP4 with its header first."""
    av = pytest.importorskip("av", reason="PyAV is missing: pip install 'unipan[video]'")
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as out:
        stream = out.add_stream("libx264", rate=10, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 100)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for time in times:
            frame = av.VideoFrame.from_ndarray(noise.integers(0, 256, (64, 96, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 100)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


STEADY, UNSTEADY = [10 * number for number in range(30)], [0, 4, 5, 30, 31, 90, 91, 200, 900]


def broken(path: Path) -> tuple[int, str]:
    with Video(path) as video:
        return len(list(video)), video.broken


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_that_was_cut_off_is_told_and_a_whole_one_is_not(tmp_path: Path, suffix: str) -> None:
    for number, (times, options) in enumerate(((STEADY, {}), (STEADY, {"bf": "3"}), (UNSTEADY, {"bf": "0"}))):
        path = encoded(tmp_path / f"{number}{suffix}", times=times, options=options)
        assert broken(path) == (len(times), "")
        for share in (0.3, 0.6):
            cut = tmp_path / f"cut{suffix}"
            cut.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
            came, why = broken(cut)
            assert came < len(times)
            assert why or times is UNSTEADY


def test_frames_that_a_file_hides_or_holds_long_are_not_missed() -> None:
    times = FrameTimes()
    for number in range(20):
        times.add(number / 10, 0.1)
    assert early_end(times, frames=30, seconds=2.05) == ""  # an edit hides the first ten
    assert early_end(times, frames=30, seconds=2.35) == ""  # an edit ends where B-frames were still to come
    assert early_end(times, frames=20, seconds=9.0) == ""  # all came
    assert early_end(times, frames=0, seconds=2.9) == ""
    assert early_end(times, frames=0, seconds=None) == ""
    assert early_end(times, frames=30, seconds=3.0) == "they end after 2.0 of 3.0 seconds"
    assert early_end(times, frames=0, seconds=3.1) == "they end after 2.0 of 3.1 seconds"


def test_a_cut_video_ends_with_status_2(learnt_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = encoded(tmp_path / "clip.mp4", times=STEADY, options={})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(learnt_run), str(path), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "Further ones can't be read (they end after" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "out/clip_overlay.mp4").is_file()


def test_pixels_keep_their_aspect_and_colors_are_told(tmp_path: Path) -> None:
    """Read by libav. By BT.709's formula this red has luma 73; primaries and curve are the video's."""
    tags = {"sample_aspect_ratio": Fraction(4, 3), "color_primaries": 6, "color_trc": 6}
    source = encoded(tmp_path / "wide.mp4", times=STEADY[:2], options={}, **tags)
    import av

    with Video(source) as video:
        frames = (VideoFrame(np.full_like(pixels, (200, 30, 30)), time) for pixels, time in video)
        write_part(tmp_path / "a.nut", frames, video=video, most=9)
    join_parts(tmp_path / "out.mp4", [tmp_path / "a.nut"])
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 6, 6)
        assert np.abs(frame.to_ndarray()[:64].astype(int) - 73).max() <= 2


@pytest.mark.parametrize(("height", "codec"), [(64, "libx264"), (720, "libx264"), (720, "mjpeg")])
def test_colors_that_no_tag_tells_are_read_as_players_do(tmp_path: Path, height: int, codec: str) -> None:
    """HD by BT.709, all else by BT.601, and JPEG always so."""
    av = pytest.importorskip("av", reason="PyAV is missing: pip install 'unipan[video]'")
    from av.video.reformatter import ColorRange, Colorspace

    is_jpeg = codec == "mjpeg"
    meant = Colorspace.ITU709 if height == 720 and not is_jpeg else Colorspace.ITU601
    drawn = av.VideoFrame.from_ndarray(np.full((height, 96, 3), (200, 60, 40), np.uint8), format="rgb24")
    with av.open(str(tmp_path / "plain.mkv"), "w") as out:
        stream = out.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = height, 96, "yuvj420p" if is_jpeg else "yuv420p"
        reach = ColorRange.JPEG if is_jpeg else ColorRange.MPEG
        out.mux(stream.encode(drawn.reformat(format=stream.pix_fmt, dst_colorspace=meant, dst_color_range=reach)))
        out.mux(stream.encode(None))
    [pixels], _ = frames_of(tmp_path / "plain.mkv")
    assert np.abs(pixels.astype(int) - (200, 60, 40)).max() <= 6


def test_a_turned_video_turns_its_pixels(tmp_path: Path) -> None:
    source = encoded(tmp_path / "wide.mp4", times=STEADY[:2], options={}, sample_aspect_ratio=Fraction(4, 3))
    with Video(source) as video:
        assert video.aspect == Fraction(4, 3)
        video._turns = 1
        assert video.aspect == Fraction(3, 4)
