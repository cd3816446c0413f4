"""A network as an ONNX file, run by onnxruntime alone: any size, any number of detections, the run's own ids."""

import json
import re
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from unipan.checkpoint import RunFolder, save_model, write_settings
from unipan.cli import main
from unipan.config import Config, DataConfig, DetectorConfig, InferenceConfig, LossConfig, ModelConfig
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.scenes.materials import scene_classes
from unipan.errors import InputError
from unipan.models.build import build_network
from unipan.models.feature_decoder import group_norm
from unipan.ops.images import read_image
from unipan.overrides import Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.evaluate import evaluate_predictor
from unipan.recipes.export import cost_of, export
from unipan.recipes.exported import Export
from unipan.tools.onnx.quantise import quantise
from unipan.tools.onnx.run import OnnxGraph

pytest.importorskip("onnxscript", reason="the export extra is not installed")

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/export.md").read_text(), re.MULTILINE | re.DOTALL)
SCENES = DataConfig(scene_size=(64, 96), val_scenes=3)
SIZES = [(96, 128), (64, 64), (33, 45), (130, 97), (8, 5)]
KINDS: dict[str, dict[str, Any]] = {
    "boxes": {},
    "masks": {"masks": True, "variant": "C"},
    "one stage": {"kind": "one_stage"},
    "one stage, masks": {"kind": "one_stage", "masks": True, "variant": "B", "affinity_position": True},
    "existence": {"existence": True, "upsampling": "convex", "propagation": "normalised", "void_channel": True},
    "another backbone": {"backbone": "tf_efficientnet_lite0", "propagation": "dot", "residual": False},
}


def run_of(
    folder: Path,
    kind: str = "two_stage",
    *,
    threshold: float = 0.0,
    kept: float = 0.0,
    data: DataConfig = SCENES,
    **settings: Any,
) -> Path:
    """A run with random weights, so many of whose detections are admitted that answers hold things.

    threshold, kept: the scores above which detections are admitted, and kept at all.
    """
    detector = DetectorConfig(
        kind=kind,  # type: ignore[arg-type]
        anchor_scale=4.0,
        proposals_before_nms=50,
        proposals=20,
        box_channels=16,
        mask_channels=16,
        mask_norm=settings.get("masks"),
        score_threshold=kept,
        max_detections=8,
    )
    small = dict(backbone="test_resnet", pretrained=False, fpn_channels=16, decoder_channels=(16,), affinity_dim=8)
    model = ModelConfig(**{"masks": False, "variant": "A", "detector": detector} | small | settings)  # type: ignore[arg-type]
    inference = InferenceConfig(score_threshold=threshold, max_admitted=4, min_stuff_area_px=100)
    run, classes = RunFolder(folder), scene_classes()
    loss = LossConfig(panoptic=0.0 if model.panoptic == "heuristic" else 0.5)
    write_settings(run, Config(model=model, inference=inference, data=data, loss=loss), classes)
    torch.manual_seed(0)
    save_model(run.model, build_network(model, classes))
    return folder


def scene(height: int, width: int, seed: int = 0) -> Tensor:
    """A procedural image, cut to a size."""
    return SceneDataset(difficulty="standard", size=(160, 160), seed=seed, length=1)[0].image[:, :height, :width].contiguous()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Export]:
    """Through the whole verb, once for this file, as docs/export.md has it from Python."""
    folder = tmp_path_factory.mktemp("export")
    run = run_of(folder / "runs/demo")
    names: dict[str, Any] = {}
    with chdir(folder):
        exec(compile(BLOCKS[0], "export.md", "exec"), names)
    found: Export = names["found"]
    return load(run, device="cpu"), replace(found, path=folder / found.path)


def assert_same(predictor: Predictor, graph: OnnxGraph, images: Sequence[Tensor]) -> list[int]:
    """The numbers of detections in the answers that both give."""
    same, pixels, found = 0, 0, []
    for image in images:
        inference = predictor.infer(image)
        answer, ids, admitted = graph(image.numpy()), predictor.answer(inference).ids.numpy(), inference.admitted
        same, pixels = same + (answer.ids == ids).sum(), pixels + ids.size
        for ours, theirs in ((answer.scores, admitted.scores), (answer.labels, admitted.labels), (answer.boxes, admitted.boxes)):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-3)
        found.append(len(answer.scores))
    assert same >= 0.9999 * pixels
    return found


def test_every_size_gives_the_networks_own_answer(exported: tuple[Predictor, Export]) -> None:
    predictor, path = exported[0], exported[1].path
    assert assert_same(predictor, OnnxGraph(path), [scene(*size) for size in SIZES]) == [4] * len(SIZES)


def test_the_backbones_weights_are_constants(exported: tuple[Predictor, Export]) -> None:
    """Multiplied by their norms once, when they are written: not by every reader of the file, or for every image."""
    onnx = pytest.importorskip("onnx")
    predictor, found = exported
    graph = onnx.load(found.path).graph
    constants: dict[str, tuple[int, ...]] = {one.name: tuple(one.dims) for one in graph.initializer}
    written = Counter(constants.get(node.input[1], ()) for node in graph.node if node.op_type == "Conv")
    own = Counter(tuple(m.weight.shape) for m in predictor.network.backbone.modules() if isinstance(m, torch.nn.Conv2d))
    assert own <= written, own - written


def test_the_verb_compares_several_sizes_with_the_run(exported: tuple[Predictor, Export]) -> None:
    found = exported[1]
    found.check_agreement()
    assert [(check.height, check.width, check.padded) for check in found.checks] == [
        *((64, 96, False), (32, 72, False), (83, 86, False), (49, 116, False), (64, 38, False)),
        (64, 96, True),
    ]
    assert found.images == "held-out images"
    assert found.agreement >= 0.9999
    assert found.to_json()["checks"][0]["detections"] == 4
    assert "64 x 96, padded" in str(found.table())
    assert "100.0000 % of all ids are the run's" in found.sentences()[0]


def test_a_file_that_disagrees_is_refused(exported: tuple[Predictor, Export]) -> None:
    checks = exported[1].checks
    worse = replace(exported[1], checks=(replace(checks[0], same_pixels=checks[0].same_pixels - 20), *checks[1:]))
    with pytest.raises(InputError, match=r"99\.9\d\d % of the ids .* 99\.99 % must be"):
        worse.check_agreement()


def test_what_eight_bits_cost_is_told(exported: tuple[Predictor, Export], tmp_path: Path) -> None:
    predictor, found = exported
    reduced = tmp_path / "reduced.onnx"
    quantise(found.path, reduced, [scene(64, 96, seed).numpy() for seed in range(3)])
    assert reduced.stat().st_size < found.path.stat().st_size
    held_out = SceneDataset(difficulty="standard", size=(64, 96), seed=0, length=3)
    cost = cost_of(predictor, reduced, OnnxGraph(found.path), held_out)
    expected = evaluate_predictor(predictor, held_out, "scenes").answer.quality.all.pq
    assert cost.num_images == 3
    assert cost.pq == pytest.approx(expected, abs=1e-3)
    assert 0 <= cost.pq_int8 <= 1


def test_a_run_whose_data_are_gone_is_verified_on_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path / "run", data=DataConfig(source="coco", root=str(tmp_path / "gone")))
    monkeypatch.setattr("unipan.recipes.export.write_onnx", lambda predictor, path: None)
    monkeypatch.setattr("unipan.recipes.export.OnnxGraph", lambda path: None)
    monkeypatch.setattr("unipan.recipes.export.verified", lambda predictor, graph, images: [len(images)])
    found = export(run, tmp_path / "tiny.onnx")
    assert found.checks == (5,)
    assert "procedural scenes" in found.images
    with pytest.raises(InputError, match="gone"):
        export(run, tmp_path / "tiny.onnx", int8=True)


@pytest.mark.parametrize("name", ["demo", "demo.pt"])
def test_another_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export(tmp_path / "run", tmp_path / name)


def test_an_image_inside_a_larger_one_is_cut_out(exported: tuple[Predictor, Export]) -> None:
    graph, image = OnnxGraph(exported[1].path), scene(50, 70).numpy()
    expected = graph(image)
    for height, width in ((64, 96), (128, 160)):
        padded = np.full((3, height, width), 255, dtype=np.uint8)
        padded[:, :50, :70] = image
        for own, plain in zip(graph(padded, (50, 70)), expected, strict=True):
            assert np.array_equal(own, plain)


def test_the_file_needs_neither_torch_nor_unipan(exported: tuple[Predictor, Export], tmp_path: Path) -> None:
    """By the example, on an image file; what it prints are the segments of the answer."""
    predictor, path = exported[0], exported[1].path
    image, out = tmp_path / "image.png", tmp_path / "answer.png"
    Image.fromarray(scene(90, 120).permute(1, 2, 0).numpy()).save(image)
    without = "import sys, runpy; sys.modules.update(torch=None, unipan=None); sys.argv = sys.argv[1:]; "
    run = "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [
        sys.executable,
        "-c",
        without + run,
        "examples/onnx_predict.py",
        path,
        image,
        out,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert Image.open(out).size == (120, 90)
    names = [(line.split()[0], line.split()[1]) for line in done.stdout.splitlines()]
    assert names == [(str(segment.id), segment.name) for segment in predictor(str(image)).segments]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: python onnx_predict.py MODEL.onnx IMAGE ANSWER.png"),
        (["demo.onnx"], "usage: python onnx_predict.py"),
        (["gone.onnx", "a.jpg", "b.png"], "there is no file gone.onnx; check the path"),
        ([str(ROOT / "README.md"), "gone.jpg", "b.png"], "there is no file gone.jpg; check the path"),
    ],
)
def test_the_example_says_what_it_lacks(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["onnx_predict.py", *arguments])
    with pytest.raises(SystemExit, match=re.escape(message)):
        runpy.run_path(str(ROOT / "examples/onnx_predict.py"), run_name="__main__")


def test_the_example_reads_images_as_the_package_does(tmp_path: Path) -> None:
    """Gray of 16 bits, whole and in part transparent, hidden colors, a palette with a hole, and an image that is to be turned."""
    colors = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    deep = np.random.default_rng(1).integers(0, 2**16, (20, 30)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "gray.png")
    Image.fromarray(deep).save(tmp_path / "gray.tiff")
    Image.fromarray(deep).save(tmp_path / "hole.png", transparency=int(deep[3, 4]))
    Image.fromarray(colors).save(tmp_path / "alpha.png")
    Image.fromarray(colors[..., :2].copy(), "LA").save(tmp_path / "gray_alpha.png")
    Image.fromarray(colors[..., 0]).convert("P").save(tmp_path / "palette.png", transparency=int(colors[3, 4, 0]))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(colors[..., :3].copy()).save(tmp_path / "turned.jpg", exif=turned)
    read = runpy.run_path(str(ROOT / "examples/onnx_predict.py"))["read"]
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(np.asarray(read(str(path))), read_image(path).permute(1, 2, 0).numpy()), path.name


def test_a_precision_that_no_graph_has_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"bf16 came, but the graph is of float32; leave it out"):
        export(tmp_path / "run", tmp_path / "a.onnx", overrides=Overrides(precision="bf16"))
    with pytest.raises(SystemExit) as ended:
        main(["export", str(tmp_path / "run"), "--onnx", str(tmp_path / "a.onnx"), "--precision", "bf16"])
    assert ended.value.code == 2
    assert "the graph is of float32" in " ".join(capsys.readouterr().err.split())


def test_the_graph_tells_its_classes_and_sizes(exported: tuple[Predictor, Export]) -> None:
    predictor, path = exported[0], exported[1].path
    facts = json.loads(OnnxGraph(path).session.get_modelmeta().custom_metadata_map["unipan"])
    assert facts["categories"] == predictor.classes.to_categories()
    assert [facts["categories"][index]["isthing"] for index in facts["stuff"]] == [0] * len(predictor.classes.stuff)
    assert (facts["short_side"], facts["long_side"], facts["scale"]) == (0, 0, None)


@pytest.mark.parametrize("settings", [{"panoptic": "heuristic"}, {"propagation": "softmax"}], ids=str)
def test_what_has_no_graph_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"only the unified head's answer .*--model\.panoptic unified|graph.*pooled or normalised"
    ):
        export(run_of(tmp_path / "run", **settings), tmp_path / "none.onnx")
    assert not (tmp_path / "none.onnx").exists()


def test_the_page_runs_it_in_openvino(exported: tuple[Predictor, Export], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    assert len(BLOCKS) == 2, "both are run in this file"
    monkeypatch.chdir(exported[1].path.parent)
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[1], "export.md", "exec"), names)
    image = scene(64, 96)
    ids = names["compiled"]({"image": image.numpy()})["ids"]
    assert (ids == exported[0](image).ids.numpy()).mean() >= 0.995


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"other\.onnx is no file that unipan has exported"):
        OnnxGraph(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masks", "one stage, masks"])
def test_where_nothing_is_kept(kind: str, tmp_path: Path) -> None:
    """A mask head's norms get no map."""
    run, path = run_of(tmp_path / "run", **KINDS[kind], kept=0.999), tmp_path / "graph.onnx"
    export(run, path).check_agreement()
    predictor = load(run, device="cpu")
    assert not len(predictor.infer(scene(*SIZES[0])).detections.boxes)
    assert not any(assert_same(predictor, OnnxGraph(path), [scene(*size) for size in SIZES]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["things", "nothing found"])
def test_every_kind_of_network(kind: str, threshold: float, tmp_path: Path) -> None:
    run, path = run_of(tmp_path / "run", **KINDS[kind], threshold=threshold), tmp_path / "graph.onnx"
    export(run, path).check_agreement()
    predictor = load(run, device="cpu")
    found = assert_same(predictor, OnnxGraph(path), [scene(*size, seed) for seed, size in enumerate(SIZES)])
    assert not any(found) if threshold == 1.0 else found[0] == 4
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})  # else bfloat16 where it can
    pixels = total = 0
    for size in SIZES[:4]:
        image = scene(*size)
        ids = compiled({"image": image.numpy()})["ids"]
        pixels, total = pixels + (ids == predictor(image).ids.numpy()).sum(), total + ids.size
    assert pixels >= 0.995 * total


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_norm_in_a_graph_takes_any_count_and_none(any_count: Any, count: int) -> None:
    """As of a mask head for the detections of an image, of which there may be none."""
    norm, session = any_count
    maps = torch.randn(count, 48, 3, 5)
    (found,) = session.run(None, {"input": maps.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), norm(maps), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def any_count() -> Any:
    """A norm, and its graph for any number of maps."""
    runtime = pytest.importorskip("onnxruntime", reason="the export extra is not installed")
    norm = group_norm(48).eval()
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(norm, (torch.randn(2, 48, 3, 5),), dynamic_shapes=shapes, strict=False)
    exported = torch.onnx.export(program, dynamo=True, verbose=False, optimize=False)
    assert exported is not None
    return norm, runtime.InferenceSession(exported.model_proto.SerializeToString())
