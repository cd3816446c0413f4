"""Fixtures that several rooms share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# One thread, unless asked otherwise: the tensors of tests are small, and threads that wait for each other by spinning slow a
# shared machine down. Set before torch is imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline: a busy machine is not a fault. In CI the same examples every time, so that a failure is always the change's own.
settings.register_profile("unipan", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("unipan")


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder with real samples: $UNIPAN_DATA, or shared/data beside the checkout. They are not part of the project."""
    folder = Path(os.environ.get("UNIPAN_DATA") or Path(__file__).parents[1] / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"no sample data: {folder} is missing; set UNIPAN_DATA to a folder with coco-mini and coco-sample")
    return folder


@pytest.fixture(scope="module")  # not the session: while it lives, no other event loop runs in this process
def chromium() -> "Iterator[Browser]":
    """A headless Chromium, for pages that we write."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install 'unipan[dev]'")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium is installed, so pages are not tested in it: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
