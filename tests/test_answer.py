"""Maps and answers tell what they hold, on maps small enough to check by hand."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import unipan
from unipan.answer import Answer
from unipan.classes import VOID, ClassTable
from unipan.config import DataConfig
from unipan.errors import InputError
from unipan.files import check_here, make_folder, write_json
from unipan.ops.segments import Label, panoptic_map
from unipan.tools.doctor.repair import check_target
from unipan.viz.explorer.page import Page
from unipan.viz.overlay import overlay

CLASSES = ClassTable.from_categories(
    [{"id": 7, "name": "road", "isthing": 0, "color": [128, 64, 128]}, {"id": 90, "name": "car", "isthing": 1}]
)
IDS = torch.tensor([[40, 40, 9, 0], [40, 3, 9, 0]], dtype=torch.int32)
IMAGE = torch.arange(24, dtype=torch.uint8).view(3, 2, 4)


@pytest.fixture
def answer() -> Answer:
    made = panoptic_map(IDS, [Label(40, 0), Label(9, 1, score=0.5), Label(3, 1, score=0.25)], CLASSES)
    return Answer(made.ids, made.segments, made.classes, IMAGE)


def test_it_is_gone_through_by_segments(answer: Answer) -> None:
    assert len(answer) == 3
    assert [(segment.id, segment.category_id) for segment in answer] == [(40, 7), (9, 90), (3, 90)]


def test_answers_can_be_looked_for_in_a_list(answer: Answer) -> None:
    """An answer is itself alone, though another may be of equal pixels."""
    other = Answer(answer.ids, answer.segments, answer.classes, IMAGE)
    assert answer == answer != other
    assert [other, answer].index(answer) == 1
    assert {answer: "a key"}[answer]


def test_masks_by_segment_and_by_id(answer: Answer) -> None:
    for segment in answer:
        assert torch.equal(answer.mask(segment), IDS.eq(segment.id))
    assert answer.mask(9).tolist() == [[False, False, True, False]] * 2
    with pytest.raises(InputError, match="there is no segment 5; the map has 40, 9, 3"):
        answer.mask(5)


def test_classes_of_pixels_and_boxes_of_segments(answer: Answer) -> None:
    assert answer.semantic.tolist() == [[0, 0, 1, VOID], [0, 1, 1, VOID]]
    assert answer.semantic.dtype == torch.int16
    assert answer.boxes.tolist() == [[0, 0, 2, 2], [2, 0, 3, 2], [1, 1, 2, 2]]


def test_a_map_of_void_alone() -> None:
    empty = panoptic_map(torch.zeros(2, 3, dtype=torch.int32), [], CLASSES)
    assert (empty.boxes.shape, empty.semantic.unique().tolist()) == ((0, 4), [VOID])
    assert repr(empty) == "PanopticMap(2x3, 0 segments)"
    with pytest.raises(InputError, match="the map has none"):
        empty.mask(1)


def test_a_line_says_what_it_holds(answer: Answer) -> None:
    assert repr(answer) == "Answer(2x4, 3 segments: 2 car, 1 road)"
    assert repr(panoptic_map(IDS[:, :1], [Label(40, 0)], CLASSES)) == "PanopticMap(2x1, 1 segment: 1 road)"
    many = ClassTable.from_categories([{"id": n, "name": f"c{n}", "isthing": 0} for n in range(9)])
    panoptic = panoptic_map(torch.arange(1, 10, dtype=torch.int32)[None], [Label(n + 1, n) for n in range(9)], many)
    assert repr(panoptic) == "PanopticMap(1x9, 9 segments: 1 c0, 1 c1, 1 c2, 1 c3, 1 c4, 1 c5, ...)"


def test_a_drawing_that_no_memory_holds_is_refused(answer: Answer) -> None:
    message = "scale is 100000, which makes 200000x400000 pixels of 2x4; at most 1073741824 are drawn: give 11585 or less"
    with pytest.raises(InputError, match=message):
        answer.plot(scale=100_000)


def test_it_is_drawn_as_the_command_line_draws_it(answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = overlay(answer, IMAGE, CLASSES, scale=None)
    assert answer.plot() == expected
    assert (answer.plot().size, answer.plot(scale=1).size) == ((480, 240), (4, 2))
    assert np.array_equal(np.asarray(Image.open(BytesIO(answer._repr_png_()))), np.asarray(expected))
    answer.save(tmp_path / "below" / "drawn.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "below" / "drawn.png")), np.asarray(expected))
    answer.save(str(tmp_path / "drawn.jpg"))
    assert Image.open(tmp_path / "drawn.jpg").format == "JPEG"
    with pytest.raises(InputError, match=r"drawn\.txt: its suffix names no kind of image"):
        answer.save(tmp_path / "drawn.txt")
    shown = []
    monkeypatch.setattr(Image.Image, "show", lambda image: shown.append(image))
    answer.show()
    assert shown == [expected]


def test_an_address_is_no_folder_of_this_machine(answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for write in (
        lambda: answer.save("memory://a/b.png"),
        lambda: answer.save(Path("memory://a/b.png")),
        lambda: Page("").save("memory://a/b.png"),
        lambda: unipan.train("demo", out="memory://a/b.png"),
        lambda: unipan.export("run", "memory://a/b.png"),
        lambda: check_target([], Path("memory://a/b.png")),
        lambda: write_json(Path("memory://a/b.png"), {}),
        lambda: make_folder(Path("memory://a/b.png")),
    ):
        with pytest.raises(InputError, match=r"^memory://a/b\.png is an address, .*; name a path\."):
            write()
    for here in (f"file://{tmp_path}/b.png", Path(f"file://{tmp_path}/b.png")):
        with pytest.raises(InputError, match=rf"^file://{tmp_path}/b\.png is an .*; leave out file://, as in {tmp_path}/b\.png"):
            answer.save(here)
    with pytest.raises(InputError, match=r"^hf:owner/name is a name on the Hub, .* push_to_hub uploads a run"):
        make_folder(Path("hf:owner/name"))
    assert not [*tmp_path.iterdir()]


def test_no_folder_is_made_that_is_called_as_the_home_is_in_a_shell(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    for write in (
        lambda: answer.save("~/b.png"),
        lambda: make_folder(Path("~/b.png")),
        lambda: DataConfig(source="coco", root="~/b.png"),
    ):
        with pytest.raises(InputError, match=r"^~/b\.png begins with ~, .*; name /home/someone/b\.png\."):
            write()
    assert not [*tmp_path.iterdir()]
    answer.save("~a backup.png")
    DataConfig(train="~a.json", val="~b.json", images="~c")
    Path("~").mkdir()
    answer.save("~/b.png")
    assert Path("~/b.png").is_file()


def test_a_folder_whose_name_ends_in_a_colon_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("results:").mkdir()
    for path in ("results:/a.json", Path("results:/b.json")):
        check_here(path)
        write_json(Path(path), {})
    assert len([*Path("results:").iterdir()]) == 2


def test_json_holds_what_segments_hold(answer: Answer) -> None:
    content = json.loads(json.dumps(answer.to_json()))
    assert (content["height"], content["width"]) == (2, 4)
    assert content["segments"][1] == {
        "id": 9,
        "class_index": 1,
        "category_id": 90,
        "name": "car",
        "is_thing": True,
        "is_crowd": False,
        "score": 0.5,
        "area": 2,
        "box": [2, 0, 3, 2],
    }
