"""The vectorised pass: equal to heads trained alone, selected on validation data, and good at what it is for."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from nml.errors import UserError
from nml.tuning import engine
from nml.tuning.engine import fit
from nml.tuning.heads import BATCH_ORDER, HEADS, generator, initialise
from nml.tuning.specs import HeadSpec

LP = HeadSpec("lp", 0, learning_rate=0.1, epochs=6, batch_size=32)
MLP = HeadSpec("mlp", 0, learning_rate=0.003, weight_decay=1e-4, epochs=6, batch_size=32)
NMTUNE = replace(MLP, method="nmtune")
MAJORITY = HeadSpec("majority", 0)


def logits_of(heads, index: int, features: np.ndarray) -> torch.Tensor:
    """Return the scores [N, C] that one of the heads gives."""
    stack = next(stack for stack in heads.stacks if index in stack.members)
    row = stack.rows[stack.members.index(index)]
    with torch.no_grad():
        single = {name: value[row : row + 1] for name, value in stack.parameters.items()}
        return stack.scores(single, torch.from_numpy(features))[0]


def test_every_head_gets_what_it_gets_alone(hard):
    specs = [replace(spec, seed=seed) for spec in (LP, MLP, NMTUNE, MAJORITY) for seed in (1, 2, 3)]
    specs += [replace(LP, learning_rate=0.01), replace(MLP, epochs=3), replace(NMTUNE, parameters={"k": 3})]
    together = fit(*hard.training, specs)
    for index, spec in enumerate(specs):
        alone = fit(*hard.training, [spec])
        assert together.epochs[index] == alone.epochs[0]
        assert together.validation_accuracies[index] == alone.validation_accuracies[0]
        torch.testing.assert_close(
            logits_of(together, index, hard.test_x), logits_of(alone, 0, hard.test_x), rtol=1e-4, atol=1e-4
        )


def test_a_run_repeats_bit_for_bit(hard):
    first, second = (fit(*hard.training, [LP, NMTUNE]) for _ in range(2))
    for index in range(2):
        assert torch.equal(logits_of(first, index, hard.test_x), logits_of(second, index, hard.test_x))


def test_seeds_differ(hard):
    heads = fit(*hard.training, [replace(NMTUNE, seed=1), replace(NMTUNE, seed=2)])
    assert not torch.equal(logits_of(heads, 0, hard.test_x), logits_of(heads, 1, hard.test_x))


@pytest.mark.parametrize("validation", [80, 8], ids=["", "with ties"])
def test_linear_probing_follows_a_plain_torch_training_loop(hard, validation):
    """The same initial values and batches, through torch.nn, torch.optim and its scheduler.

    Of epochs that are equally good on the validation data, which are many where these are few, the first is kept.
    """
    hard = replace(hard, val_x=hard.val_x[:validation], val_y=hard.val_y[:validation])
    spec = replace(LP, seed=5, learning_rate=0.01, weight_decay=0.1, epochs=4)
    start = initialise(HEADS["linear"], hard.train_x.shape[1], hard.num_classes, {}, [5])
    layer = torch.nn.Linear(hard.train_x.shape[1], hard.num_classes)
    layer.load_state_dict({"weight": start["weight"][0].T, "bias": start["bias"][0, 0]})
    optimiser = torch.optim.AdamW(layer.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    steps = spec.epochs * math.ceil(len(hard.train_x) / spec.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    order, accuracies, logits = generator(5, BATCH_ORDER), [], []
    for _ in range(spec.epochs):
        for rows in torch.from_numpy(order.permutation(len(hard.train_x))).split(spec.batch_size):
            optimiser.zero_grad()
            functional.cross_entropy(
                layer(torch.from_numpy(hard.train_x)[rows]), torch.from_numpy(hard.train_y)[rows]
            ).backward()
            optimiser.step()
            schedule.step()
        predicted = layer(torch.from_numpy(hard.val_x)).argmax(1).numpy()
        accuracies.append((predicted == hard.val_y).mean())
        logits.append(layer(torch.from_numpy(hard.test_x)).detach())
    heads = fit(*hard.training, [spec])
    assert heads.epochs[0] == np.argmax(accuracies) + 1
    assert heads.validation_accuracies[0] == pytest.approx(max(accuracies))
    assert validation == 80 or accuracies.count(max(accuracies)) > 1
    torch.testing.assert_close(logits_of(heads, 0, hard.test_x), logits[np.argmax(accuracies)], rtol=1e-4, atol=1e-4)


def test_mlp_equals_nmtune_without_regularisers(hard):
    heads = fit(*hard.training, [MLP, replace(NMTUNE, parameters={"weight": 0.0})])
    torch.testing.assert_close(logits_of(heads, 0, hard.test_x), logits_of(heads, 1, hard.test_x), rtol=1e-4, atol=1e-4)


def test_regularisers_change_the_solution(hard):
    heads = fit(*hard.training, [MLP, NMTUNE])
    assert not torch.allclose(logits_of(heads, 0, hard.test_x), logits_of(heads, 1, hard.test_x), atol=1e-3)


def test_the_accuracy_of_the_kept_parameters_is_that_on_the_validation_data(hard):
    heads = fit(*hard.training, [LP, MLP, NMTUNE, MAJORITY])
    accuracies = (heads.predict(hard.val_x) == hard.val_y).mean(axis=1)
    np.testing.assert_allclose(heads.validation_accuracies, accuracies)


def test_validation_labels_change_the_selection_and_not_the_training(hard):
    specs = [replace(LP, seed=seed) for seed in range(20)]
    shuffled = np.random.default_rng(0).permutation(hard.val_y)
    first, second = (fit(hard.train_x, hard.train_y, hard.val_x, val_y, 4, specs) for val_y in (hard.val_y, shuffled))
    same = first.epochs == second.epochs
    assert same.any() and not same.all()
    for index in np.flatnonzero(same):
        assert torch.equal(logits_of(first, index, hard.test_x), logits_of(second, index, hard.test_x))


def test_the_progress_of_all_stacks_is_logged_as_one(easy, caplog, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO, logger="nml"):
        fit(*easy.training, [LP, replace(LP, seed=1), replace(MLP, epochs=3), MAJORITY], label="tune this")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6 + 3
    assert lines[0].startswith("tune this  ") and "1/9 epochs" in lines[0]
    assert "9/9 epochs" in lines[-1]


@pytest.mark.parametrize("spec", [LP, MLP, NMTUNE])
def test_separable_classes_are_learnt(easy, spec):
    heads = fit(*easy.training, [replace(spec, epochs=30)])
    assert (heads.predict(easy.test_x)[0] == easy.test_y).mean() > 0.97


def test_linear_probing_matches_logistic_regression_on_digits():
    features, labels = load_digits(return_X_y=True)
    features = (features / 16).astype(np.float32)
    train, val, test = slice(0, 1000), slice(1000, 1200), slice(1200, None)
    spec = replace(LP, epochs=30, batch_size=128)
    heads = fit(features[train], labels[train], features[val], labels[val], 10, [spec])
    ours = (heads.predict(features[test])[0] == labels[test]).mean()
    reference = LogisticRegression(max_iter=2000).fit(features[train], labels[train])
    assert ours == pytest.approx(reference.score(features[test], labels[test]), abs=0.025)


def test_majority_predicts_the_most_frequent_training_class(easy):
    labels = np.where(np.arange(len(easy.train_y)) % 3 == 0, 1, 2)
    heads = fit(easy.train_x, labels, easy.val_x, easy.val_y, 4, [MAJORITY])
    assert (heads.predict(easy.test_x) == 2).all()
    assert heads.epochs[0] == 0
    assert heads.validation_accuracies[0] == (easy.val_y == 2).mean()


def test_majority_breaks_ties_by_the_first_class(easy):
    labels = np.where(np.arange(len(easy.train_y)) % 2 == 0, 3, 1)
    heads = fit(easy.train_x, labels, easy.val_x, easy.val_y, 4, [MAJORITY])
    assert (heads.predict(easy.test_x) == 1).all()


def test_a_width_without_a_hidden_unit_is_refused():
    with pytest.raises(UserError, match=r"width 0\.1 leaves no hidden unit on features of 4 dimensions"):
        initialise(HEADS["mlp"], 4, 10, {"width": 0.1, "depth": 2}, [0])


def test_initial_weights_are_kaiming_uniform_and_biases_zero():
    values = initialise(HEADS["mlp"], 400, 10, {"width": 0.5, "depth": 2}, [3, 4])
    assert values["weight1"].shape == (2, 400, 200)
    assert values["weight2"].shape == (2, 200, 400)
    for name, fan_in in (("weight", 400), ("weight1", 400), ("weight2", 200)):
        bound = math.sqrt(6 / fan_in)
        assert values[name].abs().max() <= bound
        assert values[name].std() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert not any(value.any() for name, value in values.items() if name.startswith("bias"))


def test_a_last_batch_of_one_sample_is_harmless(hard):
    x, y = hard.train_x[:65], hard.train_y[:65]
    heads = fit(x, y, hard.val_x, hard.val_y, 4, [replace(NMTUNE, batch_size=32)])
    assert np.isfinite(logits_of(heads, 0, hard.test_x).numpy()).all()


def test_denormal_handling_is_as_before_afterwards(easy):
    fit(*easy.training, [replace(LP, epochs=1)])
    assert float(torch.tensor(torch.finfo(torch.float32).tiny) / 2) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be positive"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"parameters": {"width": 0.001}}, "width"),
        ({"parameters": {"k": 1.5}}, "k is 1.5; it must be a whole number, at least 1"),
        ({"parameters": {"deep": 3}}, "no parameter 'deep'"),
        ({"method": "nmtuning"}, "did you mean 'nmtune'"),
    ],
)
def test_wrong_hyperparameters_are_refused(easy, changes, message):
    with pytest.raises(UserError, match=message):
        fit(*easy.training, [replace(NMTUNE, **changes)])


def test_damaged_data_are_refused(easy):
    train_x, train_y, val_x, val_y, num_classes = easy.training
    broken = train_x.copy()
    broken[3, 2] = np.nan
    with pytest.raises(UserError, match="training split has features that are not finite"):
        fit(broken, train_y, val_x, val_y, num_classes, [LP])
    with pytest.raises(UserError, match="labels from 0 to 3; allowed are 0 to 2"):
        fit(train_x, train_y, val_x, val_y, 3, [LP])
    with pytest.raises(UserError, match="validation split"):
        fit(train_x, train_y, val_x[:0], val_y[:0], num_classes, [LP])
    with pytest.raises(UserError, match="training split has 150 features and 149 labels"):
        fit(train_x, train_y[:-1], val_x, val_y, num_classes, [LP])
    with pytest.raises(UserError, match="training split has features of shape"):
        fit(train_x[0], train_y, val_x, val_y, num_classes, [LP])


@pytest.mark.parametrize("spec", [LP, MAJORITY])
def test_features_of_another_width_are_refused(easy, spec):
    train_x, train_y, val_x, val_y, num_classes = easy.training
    with pytest.raises(UserError, match=r"validation split has features of shape \(80, 11\); needed are \[N, 12\]"):
        fit(train_x, train_y, val_x[:, 1:], val_y, num_classes, [spec])
    heads = fit(*easy.training, [spec])
    with pytest.raises(UserError, match=r"test split has features of shape \(80, 11\); needed are \[N, 12\]"):
        heads.predict(easy.test_x[:, 1:])
    with pytest.raises(UserError, match="test split has features that are not finite"):
        heads.predict(np.full_like(easy.test_x, np.nan))


@pytest.mark.parametrize("spec", [MLP, NMTUNE])
def test_divergence_is_reported_with_its_learning_rate(easy, spec):
    with pytest.raises(UserError, match="diverged at learning rate 1e\\+30"):
        fit(*easy.training, [replace(spec, learning_rate=1e30)])
