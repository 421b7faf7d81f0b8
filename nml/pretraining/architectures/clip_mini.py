"""A small CLIP for 32-pixel images and short captions on a laptop.

The model is open_clip's; its image tower is timm's smallest ResNet (0.5 M parameters), through open_clip's own wrapper.
open_clip's ResNet made this thin transfers worse than it does untrained.
"""

from open_clip import CLIP

OBJECTIVE = "contrastive"
IMAGE_SIZE = 32
CONTEXT_LENGTH = 24
# In the words of open_clip's configuration files, so that an exported encoder can be built by open_clip alone.
OPEN_CLIP = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": IMAGE_SIZE,
        "timm_model_name": "test_resnet",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
    },
    "text_cfg": {"context_length": CONTEXT_LENGTH, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}


def build(num_classes: int) -> CLIP:
    """Return the model; its features are the un-normalised 128-d image embedding. `num_classes` is not used."""
    return CLIP(**OPEN_CLIP)
