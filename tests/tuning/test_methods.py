"""Every method against an independent implementation of what it says it is."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.nn import functional

from nml import encoders
from nml.config.recipes import Recipe
from nml.corpora.catalogue import open_corpus
from nml.features.extract import extract_features
from nml.grid import Encoder, Noise
from nml.pretraining.control import initialise as initialise_encoder
from nml.tasks.task import open_task
from nml.tuning.batch import Batch
from nml.tuning.data import TrainingSet
from nml.tuning.engine import fit
from nml.tuning.heads import BATCH_ORDER, HEADS, generator, initialise
from nml.tuning.methods import nmtune_released
from nml.tuning.specs import HeadSpec

TASKS = ["emoji-categories", "font-style", "icon-fill", "letters", "scripts"]
ADDRESS = "emoji/resnet-mini/untrained/s0"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    root = tmp_path_factory.mktemp("encoder")
    recipe = Recipe(objective="supervised", architecture="resnet-mini", epochs=1, batch_size=8, learning_rate=0.1)
    one = Encoder("emoji", "resnet-mini", Noise("untrained"), 0)
    initialise_encoder(one, open_corpus("emoji"), recipe, root / "results/encoders" / ADDRESS)
    return encoders.load(ADDRESS, root)


@pytest.mark.parametrize("name", TASKS)
def test_logistic_regression_is_as_accurate_as_scikit_learn_on_real_features(encoder, name):
    features = extract_features(encoder, open_task(name))
    train, val, test = features.train, features.validation, features.tests["test"]
    heads = fit(train.features, train.labels, val.features, val.labels, features.num_classes, [HeadSpec("logreg", 0)])
    reference = LogisticRegression(C=1.0, max_iter=20_000, tol=1e-6)
    reference.fit(train.features.astype(np.float64), train.labels)
    ours = (heads.predict(test.features)[0] == test.labels).mean()
    # Fewer samples could not tell a difference as small.
    assert len(test.labels) > 500
    assert abs(ours - reference.score(test.features, test.labels)) <= 0.002


def test_logistic_regression_reaches_the_minimum(hard):
    """Its gradient by autograd in float64, with the objective written out, is zero; all penalties at once."""
    strengths = [1e-3, 0.1, 1.0, 100.0]
    specs = [HeadSpec("logreg", 0, parameters={"C": strength}) for strength in strengths]
    found = fit(*hard.training, specs).stacks[0].parameters
    x, y = torch.from_numpy(hard.train_x).double(), torch.from_numpy(hard.train_y)
    for row, strength in enumerate(strengths):
        weight, bias = (found[name][row].double().requires_grad_() for name in ("weight", "bias"))
        penalty = weight.square().sum() / (2 * strength * len(x))
        gradients = torch.autograd.grad(functional.cross_entropy(x @ weight + bias, y) + penalty, (weight, bias))
        assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-3


def test_features_far_from_the_origin_are_no_harder(hard):
    """The intercepts are free, so a shift changes nothing but them."""
    specs = [HeadSpec("logreg", 0)]
    shifted = fit(hard.train_x + 50, hard.train_y, hard.val_x + 50, hard.val_y, 4, specs)
    plain = fit(*hard.training, specs)
    assert np.array_equal(shifted.predict(hard.test_x + 50), plain.predict(hard.test_x))
    torch.testing.assert_close(
        shifted.stacks[0].parameters["weight"], plain.stacks[0].parameters["weight"], rtol=0.01, atol=0.01
    )


def test_nearest_neighbours_are_those_of_scikit_learn(hard):
    settings = [(1, 0.07), (5, 0.07), (20, 0.5), (10_000, 0.2)]
    specs = [HeadSpec("knn", 0, parameters={"k": k, "temperature": t}) for k, t in settings]
    heads = fit(*hard.training, specs)
    for (k, temperature), predicted in zip(settings, heads.predict(hard.test_x), strict=True):
        reference = KNeighborsClassifier(
            min(k, len(hard.train_x)), metric="cosine", weights=lambda d, t=temperature: np.exp((1 - d) / t)
        )
        assert np.array_equal(predicted, reference.fit(hard.train_x, hard.train_y).predict(hard.test_x))


@pytest.fixture
def contradictory() -> tuple[np.ndarray, np.ndarray]:
    """Every sample five times, with labels that contradict each other; the cosines have no rounding errors."""
    random = np.random.default_rng(0)
    return np.tile(random.choice(np.float32([-1, 1]), (30, 16)), (5, 1)), random.integers(0, 4, 150)


def test_neighbours_that_are_equally_near_count_in_their_order(contradictory):
    x, y = contradictory
    training = x, y, x[:30], y[:30], 4
    specs = [HeadSpec("knn", 0, parameters={"k": k}) for k in (1, 2, 3, 7, 90)]
    together = fit(*training, specs)
    for row, spec in enumerate(specs):
        alone = fit(*training, [spec])
        assert np.array_equal(alone.predict(-x), together.predict(-x, [row]))
        assert alone.validation_accuracies == together.validation_accuracies[row]
        assert (together.predict(x[:30], [row]) == y[:30]).mean() == together.validation_accuracies[row]
    assert together.validation_accuracies[0] == 1


def test_the_order_of_equally_near_neighbours_holds_across_chunks(contradictory, monkeypatch):
    x, y = contradictory
    specs = [HeadSpec("knn", 0, parameters={"k": k}) for k in (1, 3, 50)]
    whole = fit(x, y, x, y, 4, specs).predict(-x)
    monkeypatch.setattr(TrainingSet.chunks, "__defaults__", (7,))
    assert np.array_equal(fit(x, y, x, y, 4, specs).predict(-x), whole)


def test_what_does_not_depend_on_the_seed_is_fitted_once(hard):
    specs = [HeadSpec("knn", seed, parameters={"k": k}) for k in (1, 5) for seed in range(3)]
    heads = fit(*hard.training, specs)
    assert len(heads.stacks[0].parameters["k"]) == 2
    predictions = heads.predict(hard.test_x)
    assert (predictions[:3] == predictions[0]).all() and (predictions[3:] == predictions[3]).all()
    assert not np.array_equal(predictions[0], predictions[3])
    assert len(set(heads.validation_accuracies[:3])) == 1


class Released(nn.Module):
    """The released code's head, in modules."""

    def __init__(self, start: dict[str, Tensor], depth: int) -> None:
        super().__init__()
        parts = []
        for layer in range(1, depth + 1):
            parts.append(self._linear(start, str(layer)))
            if layer < depth:
                parts += [nn.BatchNorm1d(start[f"weight{layer}"].shape[2]), nn.ReLU()]
        self.mlp, self.classifier = nn.Sequential(*parts), self._linear(start, "")
        self.scale = nn.Parameter(start["scale"][0].clone())

    @staticmethod
    def _linear(start: dict[str, Tensor], layer: str) -> nn.Linear:
        linear = nn.Linear(*start[f"weight{layer}"].shape[1:])
        linear.load_state_dict({"weight": start[f"weight{layer}"][0].T, "bias": start[f"bias{layer}"][0, 0]})
        return linear

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        transformed = self.scale * self.mlp(features) + features
        return transformed, self.classifier(transformed)


def released_loss(features: Tensor, transformed: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """The released code's loss, from what it computes: element-wise mean square, SVD and covariance matrix."""
    weak, strong = features.chunk(2)[0], transformed.chunk(2)[1]
    squares = functional.mse_loss(functional.normalize(strong, dim=1), functional.normalize(weak, dim=1))
    sigma = torch.linalg.svdvals(transformed)
    matrix = torch.cov(transformed.T)
    off_diagonal = matrix - torch.diag(matrix.diag())
    regularisers = squares + 0.04 * off_diagonal.square().sum() / transformed.shape[1]
    return functional.cross_entropy(logits, labels) + regularisers - 0.001 * (sigma / sigma.sum())[:5].mean()


@pytest.mark.parametrize("depth", [2, 3])
def test_nmtune_released_follows_a_loop_of_the_released_code(hard, depth):
    """With one view, which then is both; batch norm predicts with its running statistics."""
    spec = HeadSpec("nmtune-released", 7, 0.003, 1e-4, epochs=3, batch_size=32, parameters={"depth": depth})
    own = {"width": 4.0, "depth": depth, "scale": 1.0}
    start = initialise(HEADS["residual-mlp"], hard.train_x.shape[1], hard.num_classes, [own], [7])
    model = Released(start, depth)
    steps = spec.epochs * -(-len(hard.train_x) // spec.batch_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    order, logits = generator(7, BATCH_ORDER), []
    for _ in range(spec.epochs):
        model.train()
        for rows in torch.from_numpy(order.permutation(len(hard.train_x))).split(spec.batch_size):
            both = torch.cat([rows, rows])
            features, labels = torch.from_numpy(hard.train_x)[both], torch.from_numpy(hard.train_y)[both]
            optimiser.zero_grad()
            released_loss(features, *model(features), labels).backward()
            optimiser.step()
            schedule.step()
        model.eval()
        logits.append(model(torch.from_numpy(hard.test_x))[1].detach())
    heads = fit(*hard.training, [spec])
    found = heads.stacks[0].scores(heads.stacks[0].parameters, torch.from_numpy(hard.test_x))[0].detach()
    # Batch norm takes the biases before it out again: their gradients are rounding errors, which AdamW makes steps of.
    torch.testing.assert_close(found, logits[heads.epochs[0] - 1], rtol=0.02, atol=0.02)


def test_the_head_and_loss_of_nmtune_released_are_those_of_the_released_code():
    """In float64: values and gradients in training, the running statistics, and predictions with them."""
    own = {"width": 2.0, "depth": 3, "scale": 0.5}
    start = {name: value.double() for name, value in initialise(HEADS["residual-mlp"], 6, 3, [own], [5]).items()}
    model, random = Released(start, 3).double(), np.random.default_rng(0)
    features, labels = torch.from_numpy(random.normal(size=(16, 6))), torch.from_numpy(random.integers(0, 3, 16))
    expected = released_loss(features, *model(features), labels)
    trained = {name: value.requires_grad_() for name, value in start.items() if not name.startswith("running_")}
    outputs = HEADS["residual-mlp"].forward(start, features[None], training=True)
    factors = {"consistency": 1.0, "covariance": 0.04, "dominant_singular_value": 0.001, "k": 5}
    found = nmtune_released.loss(Batch(features[None], *outputs, labels[None]), factors)
    torch.testing.assert_close(found[0], expected)
    gradients = dict(zip(trained, torch.autograd.grad(found.sum(), list(trained.values())), strict=True))
    expected.backward()
    torch.testing.assert_close(gradients["weight1"][0], model.mlp[0].weight.grad.T)
    torch.testing.assert_close(gradients["gain2"][0, 0], model.mlp[4].weight.grad)
    torch.testing.assert_close(gradients["scale"][0], model.scale.grad)
    torch.testing.assert_close(start["running_variance2"][0, 0], model.mlp[4].running_var)
    predicted = HEADS["residual-mlp"].forward(start, features[None], training=False)[1][0]
    torch.testing.assert_close(predicted, model.eval()(features)[1])


def test_layers_of_the_residual_mlp_start_as_those_of_torch(hard):
    values = initialise(HEADS["residual-mlp"], 400, 10, [{"width": 0.5, "depth": 3, "scale": 0.5}], [3])
    for layer, (fan_in, fan_out) in enumerate(pairwise([400, 200, 200, 400]), start=1):
        weight, theirs = values[f"weight{layer}"], nn.Linear(fan_in, fan_out).weight
        assert weight.shape == (1, fan_in, fan_out)
        assert float(weight.std()) == pytest.approx(float(theirs.detach().std()), rel=0.05)
        assert 0 < float(values[f"bias{layer}"].abs().max()) <= fan_in**-0.5
    assert (values["scale"] == 0.5).all()
    assert not {"gain3", "running_mean3"} & values.keys()


def test_a_deeper_mlp_has_more_layers(hard):
    specs = [HeadSpec("mlp", 0, 0.003, epochs=4, batch_size=32, parameters={"depth": depth}) for depth in (1, 2, 4)]
    heads = fit(*hard.training, specs)
    for stack, depth in zip(heads.stacks, (1, 2, 4), strict=True):
        assert sum(name.startswith("weight") for name in stack.parameters) == depth + 1
    assert len({tuple(row) for row in heads.predict(hard.test_x).tolist()}) == 3


@pytest.mark.parametrize("method", ["gce", "sce"])
def test_robust_losses_learn_more_than_cross_entropy_from_wrong_labels(method, easy):
    """40 % of the training labels are of another class."""
    random = np.random.default_rng(1)
    wrong = random.random(len(easy.train_y)) < 0.4
    labels = np.where(wrong, (easy.train_y + random.integers(1, 4, len(wrong))) % 4, easy.train_y)
    rate = dict(learning_rate=0.1, epochs=60, batch_size=32)
    specs = [HeadSpec(name, seed, **rate) for name in (method, "lp") for seed in range(3)]
    # Selected on the last epoch's parameters as well as any: validation labels are as wrong as those of training.
    heads = fit(easy.train_x, labels, easy.train_x, labels, 4, specs)
    accuracies = (heads.predict(easy.test_x) == easy.test_y).mean(axis=1)
    assert accuracies[:3].mean() > accuracies[3:].mean() + 0.02
