"""The CLIP models of open_clip, such as `open_clip/RN50`; features are the un-normalised image embedding.

Not those whose tokenizer or text tower would be downloaded (SigLIP, multilingual ones), nor those that another loss
than CLIP's trains (CoCa).
"""

from typing import Any

import open_clip
from open_clip.factory import get_model_config
from torch import nn

from nml.pretraining.architectures import refuse

DOWNLOADED = {"hf_model_name", "hf_tokenizer_name", "tokenizer_kwargs"}
OTHER_LOSSES = {"multimodal_cfg", "init_logit_bias"}


def models() -> list[str]:
    """Return the names of the models that can be trained here."""
    return [name for name in open_clip.list_models() if not _unfit(get_model_config(name))]


def _unfit(config: dict[str, Any]) -> bool:
    return bool(DOWNLOADED & set(config["text_cfg"]) or OTHER_LOSSES & set(config))


def require(model: str) -> None:
    """Raise `UserError` if open_clip has no such model, or one that cannot be trained here."""
    if model not in open_clip.list_models():
        raise refuse(f"open_clip/{model}", "is no model of open_clip", models())
    if _unfit(get_model_config(model)):
        raise refuse(f"open_clip/{model}", "needs a tokenizer to be downloaded, or another loss than CLIP's", models())


def image_size(model: str) -> int:
    """Return the side of the input, in pixels."""
    return get_model_config(model)["vision_cfg"]["image_size"]


def context_length(model: str) -> int:
    """Return the number of tokens of a caption; CLIP's 77 where the configuration names none."""
    return get_model_config(model)["text_cfg"].get("context_length", 77)


def build(model: str, num_classes: int, image_size: int, drop_path: float) -> nn.Module:
    """Return the model for images of `image_size` pixels; `num_classes` is not used."""
    return open_clip.create_model(model, load_weights=False, pretrained_text=False, force_image_size=image_size)
