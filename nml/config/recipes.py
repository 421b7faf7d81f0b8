"""How an encoder is pre-trained: every hyper-parameter, with its bounds."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from nml.config.strict import Strict
from nml.config.transforms import ImageTransform

Decay = Annotated[float, Field(ge=0, lt=1)]
Epoch = Annotated[int, Field(ge=1, strict=True)]


class Augmentation(Strict):
    """Random changes to each training image, drawn anew in every epoch."""

    min_scale: Annotated[float, Field(gt=0, le=1, examples=[0.6])] = 0.6
    """Smallest side of the random crop, as a share of the image's side; 1 keeps the whole image."""
    rotation: Annotated[float, Field(ge=0, le=180, examples=[15])] = 0
    """Largest rotation, in degrees, either way."""
    flip: Annotated[bool, Field(examples=[True])] = True
    """Mirror half of the images left to right."""
    brightness: Annotated[float, Field(ge=0, le=1, examples=[0.3])] = 0
    """Largest relative change of brightness and contrast."""
    grayscale: Annotated[float, Field(ge=0, le=1, examples=[0.2])] = 0
    """Share of the images that lose their colour."""
    invert: Annotated[float, Field(ge=0, le=1, examples=[0.2])] = 0
    """Share of the images that are turned into their negative."""


def _require_unless_based(schema: dict[str, Any]) -> None:
    """Let the JSON schema ask for the required keys only where no base gives them."""
    is_based = {"required": ["base"], "properties": {"base": {"type": "string"}}}
    schema |= {"if": is_based, "then": {}, "else": {"required": schema.pop("required")}}


class Recipe(Strict):
    """One way to pre-train an encoder: objective, architecture, optimiser, schedule, augmentation."""

    model_config = ConfigDict(json_schema_extra=_require_unless_based)

    base: Annotated[str | None, Field(exclude=True, examples=["resnet50-rsb-a2"])] = None
    """Name of a shipped recipe that gives all keys that are not here; no other key is required then."""
    objective: Annotated[Literal["supervised", "contrastive"], Field(examples=["supervised"])]
    """`supervised` learns the labels; `contrastive` learns to match images and captions (CLIP)."""
    architecture: Annotated[str, Field(examples=["timm/resnet50"])]
    """A file in `nml/pretraining/architectures/`, or a library's model: `timm/…`, `torchvision/…`, `open_clip/…`."""
    epochs: Annotated[int, Field(ge=1, strict=True, examples=[12])]
    """Passes over the training shards."""
    batch_size: Annotated[int, Field(ge=2, strict=True, examples=[128])]
    """Samples per optimiser step, of all processes together."""
    micro_batch_size: Annotated[int | None, Field(ge=2, strict=True, examples=[256])] = None
    """Most samples that a process computes at once, adding up the gradients of its part of the batch; None for all.

    Batch norms see as many.
    """
    optimizer: Annotated[Literal["adamw", "lamb", "sgd"], Field(examples=["lamb"])] = "adamw"
    """AdamW (PyTorch), LAMB (timm) or SGD with momentum (PyTorch)."""
    learning_rate: Annotated[float, Field(gt=0, examples=[0.002])]
    """Peak learning rate, after the warm-up."""
    weight_decay: Annotated[float, Field(ge=0, examples=[0.05])] = 0.05
    """Weight decay: decoupled (AdamW), inside the trust ratio (LAMB) or added to the gradient (SGD)."""
    decay_all: Annotated[bool, Field(examples=[False])] = False
    """Whether biases, norms and scalars decay too; else only what has two dimensions or more does."""
    betas: Annotated[tuple[Decay, Decay], Field(examples=[[0.9, 0.98]])] = (0.9, 0.999)
    """Decay rates of the two moments of AdamW and LAMB."""
    epsilon: Annotated[float, Field(gt=0, examples=[1e-06])] = 1e-8
    """Added to the denominator of AdamW and LAMB."""
    momentum: Annotated[Decay, Field(examples=[0.9])] = 0.9
    """Momentum of SGD, without Nesterov."""
    schedule: Annotated[Literal["cosine", "step"], Field(examples=["cosine"])] = "cosine"
    """Learning rate after the warm-up: a `cosine` to `min_learning_rate`, or a `step` down at each milestone."""
    milestones: Annotated[tuple[Epoch, ...], Field(examples=[[30, 60]])] = ()
    """Epochs after which a `step` schedule multiplies the learning rate by `decay_factor`, in ascending order."""
    decay_factor: Annotated[float, Field(gt=0, lt=1, examples=[0.1])] = 0.1
    """What a `step` schedule multiplies the learning rate by."""
    min_learning_rate: Annotated[float, Field(ge=0, examples=[1e-06])] = 0
    """Where the cosine ends."""
    warmup_epochs: Annotated[float, Field(ge=0, examples=[1])] = 1
    """Length of the linear warm-up from zero, in epochs; shorter than `epochs`."""
    warmup_steps: Annotated[int | None, Field(ge=0, strict=True, examples=[10000])] = None
    """Length of the warm-up in optimiser steps; if given, `warmup_epochs` does not count."""
    gradient_clip: Annotated[float | None, Field(gt=0, examples=[1.0])] = 1.0
    """Largest norm of the gradient of all parameters; null for no limit."""
    loss: Annotated[Literal["cross-entropy", "bce"], Field(examples=["bce"])] = "cross-entropy"
    """Supervised loss: softmax `cross-entropy`, or `bce`, the binary cross-entropy of each class on its own."""
    bce_threshold: Annotated[float | None, Field(ge=0, lt=1, examples=[0.2])] = None
    """With `bce`, targets above it count as 1 and the others as 0; None leaves mixed targets between."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1, examples=[0.1])] = 0
    """Share of each label that is spread evenly over all classes."""
    drop_path: Annotated[float, Field(ge=0, lt=1, examples=[0.05])] = 0
    """Largest probability that a residual branch is left out (stochastic depth); for `timm/…`."""
    mixup: Annotated[float, Field(ge=0, examples=[0.1])] = 0
    """α of Mixup's Beta(α, α); 0 for none. With `cutmix` too, each batch draws one of the two."""
    cutmix: Annotated[float, Field(ge=0, examples=[1.0])] = 0
    """α of CutMix's Beta(α, α); 0 for none."""
    repeated_augmentation: Annotated[int, Field(ge=1, strict=True, examples=[3])] = 1
    """Views of each sample in an epoch, which then draws from as many times fewer samples."""
    ema_decay: Annotated[float | None, Field(gt=0, lt=1, examples=[0.9999])] = None
    """Decay per step of a moving average of the weights, which is then what is validated and kept; None for none."""
    precision: Annotated[Literal["fp32", "bf16"], Field(examples=["bf16"])] = "fp32"
    """`bf16` computes forward and backward under bfloat16 autocast; weights and optimiser stay float32."""
    compile: Annotated[bool, Field(examples=[False])] = False
    """Compile the model with `torch.compile`."""
    channels_last: Annotated[bool, Field(examples=[True])] = True
    """Keep images and convolutions in channels-last order."""
    augmentation: Annotated[Augmentation, Field(examples=[{"rotation": 15}])] = Augmentation()
    """Random changes to whole batches of images that all have one size; not with `image_transform`."""
    image_transform: Annotated[ImageTransform | None, Field(examples=[{"size": 224}])] = None
    """Crops and random changes image by image, for photographs; None resizes whole batches to the model's input."""
