"""What an exported network sees in an image, with onnxruntime, numpy and Pillow alone.

python examples/onnx_predict.py demo.onnx image.jpg answer.png
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read(path: str) -> Image.Image:
    """RGB as `unipan predict` reads it: upright, gray of 16 bits scaled to 8, what is transparent laid over white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):
        gray = np.asarray(image).astype(np.int64)
        if gray.min() < 0 or gray.max() > 65535:
            sys.exit(f"{path} has gray values from {gray.min()} to {gray.max()}; save it with 8 or 16 bits.")
        gray[gray == image.info.get("transparency", -1)] = 65535
        return Image.fromarray(np.round(gray * (255 / 65535)).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        sys.exit(f"{path} has floats for pixels, whose range is unknown; save it with 8 or 16 bits.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def main(model: str, source: str, target: str) -> None:
    """Print the segments that the model finds in the image `source`, and draw them over it in the image `target`."""
    onnxruntime.set_default_logger_severity(3)  # no warning that `size`, which is left out here, could be given
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["unipan"])

    # The image as the network sees it: its shorter side of so many pixels, unless the longer one passes its limit; 0 is no limit.
    image = read(source)
    factor = facts["scale"] or (facts["short_side"] / min(image.size) if facts["short_side"] else 1.0)
    if facts["long_side"] and not facts["scale"]:
        factor = min(factor, facts["long_side"] / max(image.size))
    seen = image.resize([max(1, round(side * factor)) for side in image.size], Image.Resampling.BILINEAR)

    pixels = np.asarray(seen).transpose(2, 0, 1)
    ids, scores, labels, _boxes = map(np.asarray, session.run(["ids", "scores", "labels", "boxes"], {"image": pixels}))

    # Id 0 is void, then come the stuff classes, then the detections in their order.
    class_of_id = [None, *facts["stuff"], *labels.tolist()]
    score_of_id = [None, *[1.0] * len(facts["stuff"]), *scores.tolist()]
    for segment in np.unique(ids[ids > 0]).tolist():
        category = facts["categories"][class_of_id[segment]]
        share = (ids == segment).mean()
        print(f"{segment:4} {category['name']:20} score {score_of_id[segment]:.2f}, {share:.1%} of the pixels")

    colors = np.array([[0, 0, 0], *(facts["categories"][c]["color"] for c in class_of_id[1:])], dtype=np.float64)
    colors[1 + len(facts["stuff"]) :] *= np.random.default_rng(0).uniform(0.6, 1.0, (len(labels), 1))  # things of one class apart
    drawn = Image.fromarray(colors.astype(np.uint8)[ids]).resize(image.size, Image.Resampling.NEAREST)
    Image.blend(image, drawn, 0.6).save(target)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python onnx_predict.py MODEL.onnx IMAGE ANSWER.png; unipan export RUN --onnx MODEL.onnx writes a model.")
    for path in sys.argv[1:3]:
        if not Path(path).is_file():
            sys.exit(f"there is no file {path}; check the path.")
    main(*sys.argv[1:])
