"""A small CLIP for 32-pixel images and short captions on a laptop, made of open_clip's own towers."""

from open_clip import CLIP

OBJECTIVE = "contrastive"
IMAGE_SIZE = 32
CONTEXT_LENGTH = 24
EMBED_DIM = 128


def build(num_classes: int) -> CLIP:
    """Return the model; its features are the un-normalised 128-d image embedding. `num_classes` is not used."""
    return CLIP(
        embed_dim=EMBED_DIM,
        vision_cfg={"image_size": IMAGE_SIZE, "layers": [1, 1, 1, 1], "width": 16},
        text_cfg={"context_length": CONTEXT_LENGTH, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    )
