"""Whatever an image comes as, its answer is that of its file; several images come back as they were given."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from unipan.answer import Answer
from unipan.choices import PanopticHead
from unipan.config import Config
from unipan.data.dataset import PanopticDataset
from unipan.data.scenes.dataset import SceneDataset
from unipan.errors import InputError
from unipan.models.build import untrained_network
from unipan.ops import image_range
from unipan.ops.images import read_image
from unipan.overrides import Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.compare import compare
from unipan.recipes.evaluate import evaluate
from unipan.recipes.explore import explore
from unipan.recipes.predict import predict
from unipan.types import Detections, Size

NOISE = np.random.default_rng(0).integers(0, 256, (40, 56, 4), np.uint8)


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(NOISE[..., :3]).save(path, exif=exif)


FILES: dict[str, Callable[[Path], None]] = {
    "exif-6.jpg": turned,
    "rgba.png": lambda path: Image.fromarray(NOISE).save(path),
    "16-bit.png": lambda path: Image.fromarray(NOISE.view(np.uint16)[..., 0]).save(path),
    "palette.png": lambda path: Image.fromarray(NOISE[..., :3]).quantize(16).save(path),
    "cmyk.jpg": lambda path: Image.fromarray(NOISE[..., :3]).convert("CMYK").save(path),
}
KINDS: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "bytes": Path.read_bytes,
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "stream": lambda path: BytesIO(path.read_bytes()),
    "PIL": Image.open,
    "numpy": lambda path: read_image(path).permute(1, 2, 0).numpy(),
    "torch": read_image,
    "torch, floats": lambda path: read_image(path) / 255,
}
SEVERAL: dict[str, Callable[[Path], Any]] = {
    "folder": lambda folder: folder,
    "folder, text": str,
    "pattern": lambda folder: f"{folder}/*.*g",
    "generator": lambda folder: (path for path in sorted(folder.iterdir())),
    "map": lambda folder: map(Path.read_bytes, sorted(folder.iterdir())),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name, write in FILES.items():
        write(folder / name)
    return folder


@pytest.fixture(scope="module")
def answers(predictor: Predictor, folder: Path) -> dict[str, Answer]:
    """Each file's, given by its path."""
    return {path.name: predictor(path) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("file", FILES)
def test_every_kind_of_input_gives_the_ids_of_the_path(
    predictor: Predictor, folder: Path, answers: dict[str, Answer], file: str
) -> None:
    assert len(answers[file])
    for name, kind in KINDS.items():
        assert torch.equal(predictor(kind(folder / file)).ids, answers[file].ids), name


def test_gray_arrays_are_images_too(predictor: Predictor) -> None:
    gray = NOISE[..., 0]
    assert torch.equal(predictor(gray).ids, predictor(Image.fromarray(gray)).ids)


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_images_are_predicted_as_they_are_asked_for(
    predictor: Predictor, folder: Path, answers: dict[str, Answer], kind: str
) -> None:
    found = predictor(SEVERAL[kind](folder))
    assert isinstance(found, Iterator)
    assert all(torch.equal(one.ids, answer.ids) for one, answer in zip(found, answers.values(), strict=True))


def test_each_takes_folders_and_patterns_and_one_image(predictor: Predictor, folder: Path) -> None:
    for images in (folder, str(folder / "*"), folder / "*.png", folder / "rgba.png", Image.open(folder / "rgba.png")):
        asked = predictor(images)
        expected = [asked] if isinstance(asked, Answer) else [*asked]
        assert [one.ids.tolist() for one in predictor.each(images)] == [one.ids.tolist() for one in expected]  # type: ignore[arg-type]
    with pytest.raises(InputError, match="an image came as a int"):
        next(predictor.each(5))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_each_takes_one_image_for_one(predictor: Predictor, folder: Path, answers: dict[str, Answer], kind: str) -> None:
    for tile in (None, 1000):
        (answer,) = predictor.each(KINDS[kind](folder / "rgba.png"), tile=tile)
        assert answer.ids.shape == answers["rgba.png"].ids.shape
    assert torch.equal(next(predictor.each(KINDS[kind](folder / "rgba.png"))).ids, answers["rgba.png"].ids)


def test_each_goes_through_a_column_of_paths(predictor: Predictor, folder: Path, answers: dict[str, Answer]) -> None:
    for dtype in (object, str):
        found = [*predictor.each(np.array([str(folder / name) for name in answers], dtype=dtype))]
        assert [one.ids.shape for one in found] == [one.ids.shape for one in answers.values()]


def test_each_takes_a_stack_for_several(predictor: Predictor) -> None:
    stack = np.stack([NOISE[..., :3], NOISE[..., 1:]])
    for images in (stack, torch.from_numpy(stack).movedim(3, 1)):
        for answer, image in zip(predictor.each(images, batch_size=2), stack, strict=True):
            assert answer.ids.shape == predictor(image).ids.shape
    for none in (np.zeros(3, np.uint8), np.zeros((1, 2, 8, 8, 3), np.uint8), {"image": 1}):
        with pytest.raises(InputError, match="an image came as "):
            next(predictor.each(none))  # type: ignore[arg-type]


def test_a_list_gives_a_list(predictor: Predictor, folder: Path, answers: dict[str, Answer]) -> None:
    paths = sorted(folder.iterdir())
    for images in (paths, tuple(paths)):
        found = predictor(images)
        assert isinstance(found, list)
        assert [one.ids.shape for one in found] == [answer.ids.shape for answer in answers.values()]
    assert predictor([]) == []


def test_the_first_answer_needs_the_first_image_alone(predictor: Predictor, folder: Path) -> None:
    read = []

    def endless() -> Iterator[Path]:
        while True:
            read.append(1)
            yield folder / "rgba.png"

    assert len(next(predictor(endless())))
    assert len(read) == 1
    assert len(next(predictor(endless(), batch_size=3)))
    assert len(read) == 1 + 3


def test_batches_go_through_the_network_together_and_answer_alike(
    predictor: Predictor, folder: Path, answers: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, forward = [], predictor.network.forward

    def counted(images: torch.Tensor, *rest: Any, **options: Any) -> Any:
        batches.append(len(images))
        return forward(images, *rest, **options)

    monkeypatch.setattr(predictor.network, "forward", counted)
    found = predictor(sorted(folder.iterdir()), batch_size=3)
    assert batches == [3, 2]
    for one, (name, answer) in zip(found, answers.items(), strict=True):
        assert (one.ids == answer.ids).float().mean() > 0.999, name


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://somewhere.org/a.jpg", "an image came as the address https.*; fetch it, and give a file's path, its bytes"),
        (7, "came as a int; give a file's path, its bytes"),
        ({"image": 1}, "came as a dict; give a file's path"),
        ("", "there is no image file ; check the path"),
        ("nowhere/*.jpg", r"no file nowhere/\*\.jpg, nor one that it would fit as a pattern"),
        ([7], "came as a int"),
        (np.zeros((2, 8, 8, 3), np.uint8), "numbers of shape"),
    ],
)
def test_what_is_no_image_is_refused(predictor: Predictor, source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predictor(source)


def test_a_folder_without_images_and_options_that_make_no_sense(predictor: Predictor, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        predictor(tmp_path)
    path = folder / "rgba.png"
    with pytest.raises(InputError, match="the batch size is 0"):
        predictor(path, batch_size=0)
    for size in (2.0, "2", None):
        with pytest.raises(InputError, match=r"the batch size is .*; give a whole number, 1 or more"):
            predictor([path], batch_size=size)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the threshold is 2"):
        predictor(path, threshold=2)
    with pytest.raises(InputError, match=r"threshold is '0\.5', a str; give a number"):
        predictor(path, threshold="0.5")  # type: ignore[arg-type]
    for scale in (0, -1, 1.5, "2"):
        with pytest.raises(InputError, match=r"scale is .*; give "):
            predictor(path).plot(scale=scale)  # type: ignore[arg-type]
    for tile in (None, 32):
        with pytest.raises(InputError, match="trim is 'no', a str; give True or False"):
            predictor(path, trim="no", tile=tile)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"no option treshold: did you mean threshold\? It takes batch_size, "):
        predictor(path, treshold=0.5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="a predictor has no option x: it takes batch_size, head, trim, threshold, tile"):
        predictor([path], x=1)  # type: ignore[call-overload]
    untrimmed = predictor(path, trim=np.False_)  # type: ignore[call-overload]
    assert len(untrimmed) >= len(predictor(path))
    with pytest.raises(InputError, match="the folder is None, a NoneType; give a path"):
        predictor.save_pretrained(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the file to write is None, a NoneType; give a path"):
        predictor(path).save(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there is no head uppsnet; choose unified or upsnet"):
        predictor(path, head="uppsnet")  # type: ignore[arg-type]


def test_what_is_no_run_and_what_are_no_overrides_is_told(learnt_run: Path) -> None:
    with pytest.raises(InputError, match="the name of the run is empty; name its folder"):
        load("")
    for run in (None, 3, b"run"):
        with pytest.raises(InputError, match=r"a run came as a \w+; name its folder"):
            load(run)  # type: ignore[arg-type]
    for given in (None, {"threshold": 0.5}):
        for take in (load, evaluate):
            with pytest.raises(InputError, match=r"overrides came as a \w+; give unipan\.Overrides, as in Overrides"):
                take(str(learnt_run), overrides=given)  # type: ignore[arg-type]


def test_a_predictor_tells_and_changes_its_device(predictor: Predictor) -> None:
    assert repr(predictor) == f"Predictor(unified head, {len(predictor.classes)} classes, on cpu)"
    assert predictor.device == torch.device("cpu")
    assert predictor.to("cpu") is predictor
    for device in ("cuda:99", 99, "nowhere"):
        with pytest.raises(InputError, match=f"the device is to be {device}"):
            predictor.to(device)


def test_bf16_is_near_float32_and_not_it(learnt_run: Path) -> None:
    """Features in half the bits: the logits hardly change, and what counts cells stays in float32."""
    image = SceneDataset(difficulty="standard", size=(64, 64), seed=3, length=1)[0].image
    full = load(learnt_run)
    half = load(learnt_run, overrides=Overrides(precision="bf16"))
    one, other = full.infer(image), half.infer(image)
    assert {x.dtype for x in (other.outputs.semantic[0], other.outputs.panoptic[0], other.detections.boxes)} == {torch.float32}
    difference = (one.outputs.semantic[0] - other.outputs.semantic[0]).abs().max() / one.outputs.semantic[0].abs().max()
    assert 1e-5 < float(difference) < 0.1
    asked = load(learnt_run, overrides=Overrides(precision="fp32")).infer(image)
    assert torch.equal(asked.outputs.panoptic[0], one.outputs.panoptic[0])


def test_a_former_name_is_told_and_taken(learnt_run: Path) -> None:
    with pytest.warns(DeprecationWarning, match="now called head="):
        assert load(learnt_run, decoder="upsnet").head == "upsnet"


def test_a_predictor_can_be_pickled(learnt_run: Path) -> None:
    """For engines whose workers can't reach the run."""
    predictor = load(learnt_run, device="cpu")
    image = NOISE[..., :3]
    assert torch.equal(pickle.loads(pickle.dumps(predictor))(image).ids, predictor(image).ids)


@pytest.mark.parametrize(("head", "masks"), [("unified", 4), ("heuristic", 8)])
def test_an_answer_by_the_unified_head_takes_the_masks_of_admitted_detections_alone(
    head: PanopticHead, masks: int, tiny_config: Config, scenes: PanopticDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(tiny_config, model=replace(tiny_config.model, masks=True, variant="B"))
    predictor = Predictor(untrained_network(config, scenes.classes), scenes.classes, config, head=head)
    detector, made = predictor.network.detector, []
    add_masks = detector.add_masks

    def counting(pyramid: list[Tensor], sizes: list[Size], detections: list[Detections]) -> list[Detections]:
        made.append(len(detections[0].scores))
        return add_masks(pyramid, sizes, detections)

    monkeypatch.setattr(detector, "add_masks", counting)
    answer, inference = predictor(scenes[0].image), predictor.infer(scenes[0].image)
    assert made == [masks, 8]  # of 8 detections 4 may be admitted; `infer` gives what AP needs
    assert torch.equal(answer.ids, predictor.answer(inference).ids)


def test_a_dim_image_is_warned_of_at_every_door_and_by_predict_as_its_own_remark(
    predictor: Predictor, learnt_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "dim.png"
    Image.fromarray(np.full((40, 56), 1000, np.uint16)).save(path)
    doors: dict[str, Callable[[], Any]] = {
        "call": lambda: predictor(path),
        "list": lambda: predictor([path]),
        "tiles": lambda: predictor(path, tile=32),
        "infer": lambda: predictor.infer(path),
        "explore": lambda: explore(predictor, path),
        "compare": lambda: compare(str(learnt_run), [path], tmp_path / "out", device="cpu"),
    }
    for name, enter in doors.items():
        monkeypatch.setattr(image_range, "_NOTED", {})
        caplog.clear()
        enter()
        assert caplog.text.count("the network sees it nearly black") == 1, name
    monkeypatch.setattr(image_range, "_NOTED", {})
    caplog.clear()
    found = predict(str(learnt_run), [path], tmp_path / "out", device="cpu")
    assert "nearly black" not in caplog.text
    (remark,) = [line for line in found.sentences() if "black" in line]
    assert remark.startswith("1 image used so little of the numbers' range")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16"}, "there is no precision fp16; choose"),
        ({"scale": -1}, "the scale is -1; a factor lies above 0"),
        ({"scale": "2"}, "scale"),
    ],
)
def test_a_predictor_refuses_what_it_cannot_do(predictor: Predictor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Predictor(predictor.network, predictor.classes, predictor.config, **options)


def test_an_answer_is_read_off_an_inference_alone(predictor: Predictor) -> None:
    with pytest.raises(InputError, match=r"read off what infer\(\) gives, but a Tensor came; call the predictor"):
        predictor.answer(torch.zeros(3, 8, 8, dtype=torch.uint8))  # type: ignore[arg-type]


def test_an_inference_for_one_head_is_not_read_off_by_another(predictor: Predictor, scenes: PanopticDataset) -> None:
    image = scenes[0].image
    for_all, for_one = predictor.infer(image), predictor.infer(image, head="unified")
    assert torch.equal(predictor.answer(for_one, head="unified").ids, predictor.answer(for_all, head="unified").ids)
    assert torch.equal(
        predictor.answer(predictor.infer(image, head="heuristic"), head="heuristic").ids, predictor(image, head="heuristic").ids
    )
    with pytest.raises(InputError, match="made for the unified head alone, and head heuristic is asked for"):
        predictor.answer(for_one, head="heuristic")
    with pytest.raises(InputError, match="bogus"):
        predictor.infer(image, head="bogus")  # type: ignore[arg-type]
