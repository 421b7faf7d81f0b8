"""k nearest neighbours by cosine similarity s; each votes for its class with exp(s / temperature). Nothing is trained.

Where no neighbour is of an allowed class, no class has a vote, and the first allowed one is predicted.

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

STEPS = 2**20
"""Steps of similarity between 0 and 1, above the rounding errors of a cosine in float32: duplicates shall be equal."""

PLACES = 2**32
"""More than there are training samples."""


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
    """Return the similarities [B, k] of the nearest training samples, descending, and their labels [B, k].

    Of equally similar samples the first counts as the nearer, whatever k. Rank and place are one integer, since a
    `topk` breaks ties by no rule: the steps of similarity above, the place from the end below.
    """
    best, first = wanted.new_empty((len(wanted), 0), dtype=torch.int64), 0
    for rows, _ in samples.chunks():
        steps = (wanted @ directions(rows).T).double().mul_(STEPS).round_().long()
        from_end = PLACES - 1 - torch.arange(first, first + len(rows), device=steps.device)
        ranked = torch.cat([best, steps.mul_(PLACES).add_(from_end)], dim=1)
        best, first = ranked.topk(min(k, ranked.shape[1]), dim=1).values, first + len(rows)
    places = PLACES - 1 - best % PLACES
    return (best // PLACES).to(wanted.dtype) / STEPS, samples.labels[places]
