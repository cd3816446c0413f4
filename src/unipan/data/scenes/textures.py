"""How a procedural scene looks: the stuff behind the things, its textures, the things' shading, light and sensor noise.

H x W pixels; colors are float 0..255 until `add_light_and_noise`.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from unipan.data.scenes.layout import SHADOW_PX, Thing, scene_scale
from unipan.data.scenes.materials import LOG, MATERIALS, MEADOW, SAND, SKY, SNAKE, WATER
from unipan.data.scenes.shapes import Floats
from unipan.types import Size


def lay_stuff(rng: Generator, size: Size) -> NDArray[np.int32]:
    """Stuff class index of each pixel (H, W): wavy bands, the sky on top if there is one, and at times a pond or an island."""
    height, width = size
    x = np.linspace(0, 1, width, dtype=np.float32)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    grounds = rng.permutation([MEADOW, SAND, WATER])
    bands = [int(c) for c in grounds[: rng.choice([1, 2, 3], p=[0.15, 0.5, 0.35])]]
    edges: list[float] = []
    if rng.random() < 0.85:
        bands.insert(0, SKY)
        edges = [rng.uniform(0.15, 0.42)]
    highest = 0.12 + sum(edges)
    edges += sorted(rng.uniform(highest, 0.92, len(bands) - 1 - len(edges)).tolist())
    stuff = np.full(size, bands[0], np.int32)
    for edge, band in zip(edges, bands[1:], strict=True):
        stuff[y > edge + _wave(rng, x, 0.03)] = band
    if rng.random() < 0.4:
        center_x, center_y = rng.uniform(0.15, 0.85), rng.uniform(0.6, 0.9)
        half_height = rng.uniform(0.06, 0.16) + _wave(rng, x, 0.012)
        squared = ((x - center_x) / rng.uniform(0.12, 0.3)) ** 2 + ((y - center_y) / half_height) ** 2
        stuff[squared < 1] = int(grounds[-1])
    return stuff


def paint_stuff(rng: Generator, stuff: NDArray[np.int32]) -> Floats:
    """Colors (H, W, 3) of the stuff: clouds, blades of grass, dunes and ripples."""
    height, width = stuff.shape
    size, scale = (height, width), scene_scale((height, width))
    ripples = np.sin(np.arange(height, dtype=np.float32)[:, None] * (2 * np.pi / (7 * scale)) + 2 * _soft(rng, size, 20, 20))
    textures = {
        SKY: _soft(rng, size, 14, 30) + np.linspace(-0.9, 0.9, height, dtype=np.float32)[:, None],
        MEADOW: 0.7 * _soft(rng, size, 6, 1.8) + 0.6 * _soft(rng, size, 14, 14),
        SAND: 0.7 * _soft(rng, size, 1.6, 1.6) + 0.5 * ripples,
        WATER: _soft(rng, size, 1.8, 11),
    }
    texture = np.zeros(size, np.float32)
    for index, field in textures.items():
        texture = np.where(stuff == index, field, texture)
    base = np.array([MATERIALS[index].base for index in textures], np.float32)
    tint = np.array([MATERIALS[index].tint for index in textures], np.float32)
    return base[stuff] + texture[..., None] * tint[stuff]


def paint_things(rng: Generator, canvas: Floats, things: list[Thing]) -> None:
    """Paint things from back to front into the canvas (H, W, 3), each with a dark edge and a shadow on what is below."""
    height, width = canvas.shape[:2]
    scale = scene_scale((height, width))
    grain = _soft(rng, (height, width), 2.2, 2.2)  # one field for all: things of a class share their texture
    for thing in things:
        x1, y1, x2, y2 = thing.box
        below = canvas[y1:y2, x1:x2]
        outside_px = (thing.distance - 1) * thing.skeleton.radii.mean()  # negative inside
        shadow = 1 - 0.4 * np.clip(1 - outside_px / (SHADOW_PX * scale), 0, 1)
        cover = np.clip(0.5 - outside_px, 0, 1)[..., None]
        color = _surface(thing, grain[y1:y2, x1:x2], outside_px / scale, scale)
        below[...] = cover * color + (1 - cover) * shadow[..., None] * below


def _surface(thing: Thing, grain: Floats, outside: Floats, scale: float) -> Floats:
    """Colors (h, w, 3) over a thing's box. `outside` is the signed distance to its edge in pixels of the default size."""
    texture = grain
    if thing.class_index == SNAKE:
        texture = 0.4 * grain + 0.8 * np.sin(thing.along * (2 * np.pi / (11 * scale)))
    if thing.class_index == LOG:
        texture = 0.8 * grain + 0.5 * np.sin(thing.distance * 9)
    roundness = np.sqrt(np.clip(1 - thing.distance**2, 0, 1))
    edge = np.clip(1 + outside / 1.6, 0, 1)  # 1 at the outline, 0 from 1.6 px inwards
    light = (0.72 + 0.4 * roundness) * (1 - 0.6 * edge)
    material = MATERIALS[thing.class_index]
    color = np.array(material.base, np.float32) + texture[..., None] * np.array(material.tint, np.float32)
    return (color * light[..., None]).astype(np.float32)


def add_light_and_noise(rng: Generator, canvas: Floats) -> NDArray[np.uint8]:
    """Light the canvas (H, W, 3) unevenly, in a tinge of its own, and add the noise of a sensor."""
    height, width = canvas.shape[:2]
    light = rng.uniform(0.8, 1.12) * (1 + 0.08 * _soft(rng, (height, width), 60, 60))
    tinge = rng.uniform(0.92, 1.08, 3).astype(np.float32)
    noise = rng.standard_normal(canvas.shape, np.float32) * np.float32(rng.uniform(3, 10))
    return np.clip(canvas * light[..., None] * tinge + noise, 0, 255).astype(np.uint8)


def _soft(rng: Generator, size: Size, cell_height: float, cell_width: float) -> Floats:
    """Smooth noise (H, W) of about unit deviation whose blobs have the given size, in pixels of the default scene."""
    scale = scene_scale(size)
    rows, columns = 2 + round(size[0] / (cell_height * scale)), 2 + round(size[1] / (cell_width * scale))
    coarse = Image.fromarray(rng.standard_normal((rows, columns), np.float32))
    return np.asarray(coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def _wave(rng: Generator, x: Floats, amplitude: float) -> Floats:
    """A wavy line over x in 0..1, as a sum of three sines of falling amplitude."""
    waves = (amplitude / k * np.sin(2 * np.pi * (x * rng.uniform(0.6, 1.4) * k + rng.random())) for k in (1, 2, 4))
    return np.sum(list(waves), 0).astype(np.float32)
