"""k nearest neighbours by cosine similarity s; each votes for its class with exp(s / temperature). Nothing is trained.

The weights are those of Wu et al. (CVPR 2018), as in the evaluation of DINO.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from nml.tuning.data import TrainingSet
from nml.tuning.losses import directions

TRAINED = False
PARAMETERS = {"k": 20, "temperature": 0.07}
BOUNDS = {"k": (1, None), "temperature": (0.001, None)}

ROWS_AT_ONCE = 1024
"""Samples whose similarities to a chunk of the training samples are held at once."""


def fit(samples: TrainingSet, candidates: Sequence[Mapping[str, float]]) -> tuple[Callable, dict[str, Tensor]]:
    """Return the votes among the training samples for every k and temperature."""
    device = samples.labels.device
    parameters = {key: torch.tensor([float(one[key]) for one in candidates], device=device) for key in PARAMETERS}
    return partial(_votes, samples), parameters


def _votes(samples: TrainingSet, parameters: dict[str, Tensor], features: Tensor) -> Tensor:
    return torch.cat([_votes_of_some(samples, parameters, rows) for rows in features.split(ROWS_AT_ONCE)], dim=1)


def _votes_of_some(samples: TrainingSet, parameters: dict[str, Tensor], features: Tensor) -> Tensor:
    similarities, labels = _nearest(samples, directions(features), int(parameters["k"].max()))
    ranks = torch.arange(labels.shape[1], device=labels.device)
    counted = ranks < parameters["k"].view(-1, 1, 1)
    # Relative to the nearest one: the exponentials stay in range, and the winner the same.
    weights = ((similarities - similarities[:, :1]) / parameters["temperature"].view(-1, 1, 1)).exp() * counted
    votes = weights.new_zeros(len(counted), len(features), samples.num_classes)
    return votes.scatter_add_(2, labels.expand_as(weights), weights)


def _nearest(samples: TrainingSet, wanted: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the similarities [B, k] of the nearest training samples, descending, and their labels [B, k]."""
    best = wanted.new_empty(len(wanted), 0)
    labels = samples.labels.new_empty(len(wanted), 0)
    for rows, classes in samples.chunks():
        candidates = torch.cat([best, wanted @ directions(rows).T], dim=1)
        labels = torch.cat([labels, classes.expand(len(wanted), -1)], dim=1)
        best, places = candidates.topk(min(k, candidates.shape[1]), dim=1)
        labels = labels.gather(1, places)
    return best, labels
