"""Pixels: vector to raster, flatten on white, pad to a square, jittered views, lossless WebP."""

import io
import random

import resvg_py
from PIL import Image

SIZE = 32
RENDER_SIZE = 4 * SIZE


def render_svg(svg: str, size: int = RENDER_SIZE) -> Image.Image:
    """Rasterise an SVG to RGBA, `size` pixels wide."""
    data = resvg_py.svg_to_bytes(svg_string=svg, width=size, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


def flatten(image: Image.Image, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Return an RGB square: alpha composed on `background`, shorter side padded."""
    rgba = image.convert("RGBA")
    side = max(rgba.size)
    canvas = Image.new("RGBA", (side, side), (*background, 255))
    canvas.alpha_composite(rgba, ((side - rgba.width) // 2, (side - rgba.height) // 2))
    return canvas.convert("RGB")


def shrink(image: Image.Image) -> Image.Image:
    """Return the image at 32 x 32."""
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def view(image: Image.Image, name: str, index: int) -> Image.Image:
    """Return view `index` of a flattened drawing at 32 x 32; view 0 is the drawing itself.

    Other views are rotated by up to 20 degrees, scaled to 72-100 % and shifted, drawn from a generator seeded by
    `name` and `index`. They are never mirrored: arrows, letters and signs would change their meaning.
    """
    if index == 0:
        return shrink(image)
    rng = random.Random(f"{name}/{index}")
    scale = rng.uniform(0.72, 1.0)
    side = image.width
    small = image.resize((round(side * scale),) * 2, Image.Resampling.BICUBIC)
    room = side - small.width
    canvas = Image.new("RGB", image.size, (255, 255, 255))
    canvas.paste(small, (round(rng.random() * room), round(rng.random() * room)))
    canvas = canvas.rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))
    return shrink(canvas)


def pad_gray(pixels: bytes, side: int, fill: int) -> Image.Image:
    """Return a `side` x `side` 8-bit grey image centred on a 32 x 32 RGB canvas of grey value `fill`."""
    canvas = Image.new("L", (SIZE, SIZE), fill)
    margin = (SIZE - side) // 2
    canvas.paste(Image.frombytes("L", (side, side), pixels), (margin, margin))
    return canvas.convert("RGB")


def ink_fraction(image: Image.Image) -> float:
    """Return the share of pixels that differ from the corner pixel by more than 24 grey levels."""
    gray = image.convert("L")
    corner = gray.getpixel((0, 0))
    histogram = gray.histogram()
    return sum(n for value, n in enumerate(histogram) if abs(value - corner) > 24) / (gray.width * gray.height)


def encode(image: Image.Image) -> bytes:
    """Encode as lossless WebP."""
    buffer = io.BytesIO()
    # Method 6 takes 25 times as long for 1 % fewer bytes.
    image.save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return buffer.getvalue()
