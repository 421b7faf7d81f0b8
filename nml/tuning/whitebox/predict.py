"""The predictions and features of an encoder under tuning."""

import numpy as np
import torch

from nml.errors import UserError
from nml.tuning.whitebox.images import Images
from nml.tuning.whitebox.network import Network
from nml.tuning.whitebox.run import Tuning


@torch.no_grad()
def predict(
    run: Tuning, network: Network, split: Images, allowed: list[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted classes int64 [N], among some alone if they are given, and the features float32 [N, D].

    Raises
    ------
    UserError
        If a feature is not finite.
    """
    features = [network.encode(images) for images in split.batches(run.views)]
    if not all(torch.isfinite(part).all() for part in features):
        raise UserError(
            f"{run.label}: the tuned encoder gives features that are not finite. "
            f"Lower methods.{run.name}.learning_rate (now {run.learning_rate}), or use precision fp32."
        )
    classes = torch.arange(run.images.num_classes) if allowed is None else torch.tensor(allowed)
    predictions = [classes[network.logits(part).cpu()[:, classes].argmax(dim=1)] for part in features]
    return torch.cat(predictions).numpy(), torch.cat(features).cpu().numpy()
