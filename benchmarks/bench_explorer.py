"""Time the explorer's update in a headless Chromium: python benchmarks/bench_explorer.py [ROUNDS].

An image of 512 x 1024: 128 x 256 cells of 128 features. Each round points at the same cells in every way: the page's own
product, the same a feature at a time, and with each cell's features side by side; and then whole updates, one a frame, as the
pointer moves: row, heat, panels, marks, and the browser's layout. Processor time of the page's main thread; what is rasterised
in other threads is not in it.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright
from record import record

from unipan.data.scenes.dataset import SceneDataset
from unipan.ops.propagation import affinity_products
from unipan.types import Detections
from unipan.viz.canvas import as_pil
from unipan.viz.colors import segment_colors
from unipan.viz.explorer.content import Explored
from unipan.viz.explorer.page import Page, explorer_page

ROWS, COLUMNS, DIM = 128, 256, 128
UPDATES = 30
"""In a round, of each way."""
OTHER_WAYS = """
    const {image} = state, {features} = image.affinity, out = new Float32Array(image.cells), vector = new Float32Array(128);
    const turned = new Float32Array(features.length);
    for (let d = 0; d < 128; d++) for (let i = 0; i < image.cells; i++) turned[i * 128 + d] = features[d * image.cells + i];
    globalThis.ways = {
        page: (cell) => { affinityRow(image, cell, out); },
        one: (cell) => {
            out.fill(0);
            for (let d = 0; d < 128; d++) {
                const own = features.subarray(d * image.cells, (d + 1) * image.cells), value = own[cell];
                for (let i = 0; i < image.cells; i++) out[i] += value * own[i];
            }
        },
        cells: (cell) => {
            const own = turned.subarray(cell * 128, (cell + 1) * 128);
            for (let i = 0; i < image.cells; i++) {
                let sum = 0;
                for (let d = 0; d < 128; d++) sum += own[d] * turned[i * 128 + d];
                out[i] = sum;
            }
        },
        update: async (cell) => {
            point((cell % image.columns + 0.5) * image.cellWidth, ((cell / image.columns | 0) + 0.5) * image.cellHeight);
            await new Promise(requestAnimationFrame);
        },
    };
"""


def page_of_a_scene() -> Page:
    sample = SceneDataset(difficulty="crowded", size=(4 * ROWS, 4 * COLUMNS), seed=0, length=1)[0]
    found = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    image = Explored(
        name=sample.file_name,
        image=as_pil(sample.image),
        facts=[("run", "benchmark")],
        network_size=(4 * ROWS, 4 * COLUMNS),
        answer=sample.truth,
        colors=segment_colors(sample.truth),
        semantic=sample.truth.ids.clamp(0, 6),
        detections=found,
        admitted=torch.zeros(0, dtype=torch.int64),
        parts={name: torch.rand(4, ROWS, COLUMNS) for name in ("potential", "evidence", "unary")},
        bias=torch.zeros(4),
        affinity=affinity_products(torch.randn(ROWS * COLUMNS, DIM), "pooled"),
    )
    return explorer_page([image])


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        print("The explorer's record is left as it is: there is no Chromium here (apt-get install chromium).")
        return
    ways = ("page", "one", "cells", "update")
    times: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(page_of_a_scene().save(Path(folder) / "page.html").as_uri())
        page.evaluate("ready")
        page.evaluate(f"() => {{{OTHER_WAYS}}}")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return next(1000 * entry["value"] for entry in metrics if entry["name"] == "TaskDuration")

        for _ in range(rounds + 1):  # the first warms up
            for way in ways:
                start = busy()
                page.evaluate(f"(async () => {{ for (let n = 0; n < {UPDATES}; n++) await ways.{way}(1009 * n); }})()")
                times[way].append((busy() - start) / UPDATES)
        browser.close()
    kept = {way: ms[1:] for way, ms in times.items()}
    record(
        "bench_explorer",
        {
            "an affinity row": {
                "four features at a time": kept["page"],
                "one feature at a time": kept["one"],
                "cell by cell": kept["cells"],
            },
            "an update": {"row, heat, panels, marks, layout": kept["update"]},
        },
        clock="processor time of the page",
    )


if __name__ == "__main__":
    main()
