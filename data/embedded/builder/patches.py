"""Patches of two drawings that differ in what they show, not in how much ink they have."""

import random
from itertools import product

import numpy as np
from PIL import Image

from .images import SIZE

TRIALS = 120
INK = (0.2, 0.5)
TOLERANCE = 0.02


def _coverage(images: list[Image.Image]) -> list[np.ndarray]:
    """Return float64 [side, side] maps: 0 on paper, 1 on full ink."""
    return [1 - np.asarray(image.convert("L"), dtype=float) / 255 for image in images]


def _corners(rng: random.Random, room: int) -> list[tuple[int, int]]:
    return [(rng.randint(0, room), rng.randint(0, room)) for _ in range(TRIALS)]


def _toned(patch: np.ndarray, rng: random.Random) -> Image.Image:
    """Return a patch at 32 x 32 in two clearly different greys; one in two is light on dark."""
    light, dark = rng.randint(185, 255), rng.randint(0, 70)
    paper, ink = (light, dark) if rng.random() < 0.5 else (dark, light)
    grey = Image.fromarray(np.round(paper + (ink - paper) * patch).astype(np.uint8))
    return grey.resize((SIZE, SIZE), Image.Resampling.LANCZOS).convert("RGB")


def matched_patches(images: list[Image.Image], salt: str) -> list[Image.Image]:
    """Return a 32 x 32 patch of each of two drawings: same size of cut, same tones, and amounts of ink
    that differ by at most 2 % of the cut.

    The cut is a third to a half of the drawing wide. Among random pairs of cuts whose ink is 20-50 % of the cut, one
    pair that matches is drawn by `salt`; without any, the list is empty. The drawings are squares of one size.
    """
    rng = random.Random(salt)
    maps = _coverage(images)
    side = round(images[0].width * rng.uniform(0.33, 0.5))
    cuts = [[m[y : y + side, x : x + side] for x, y in _corners(rng, images[0].width - side)] for m in maps]
    inked = [[(float(cut.mean()), cut) for cut in of_image] for of_image in cuts]
    fit = [[(ink, cut) for ink, cut in of_image if INK[0] <= ink <= INK[1]] for of_image in inked]
    pairs = [(a, b) for (i, a), (j, b) in product(*fit) if abs(i - j) <= TOLERANCE]
    if not pairs:
        return []
    tones = rng.random()
    return [_toned(patch, random.Random(tones)) for patch in rng.choice(pairs)]
