"""The vectorised pass: equal to heads trained alone, selected on validation data, and good at what it is for."""

import logging
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from nml.errors import UserError
from nml.plugins import tuning_method
from nml.tuning import data, engine, registry, training
from nml.tuning.engine import fit
from nml.tuning.heads import BATCH_ORDER, HEADS, generator, head_of, initialise
from nml.tuning.losses import cross_entropy
from nml.tuning.specs import HeadSpec, stacks_of

LP = HeadSpec("lp", 0, learning_rate=0.1, epochs=6, batch_size=32)
MLP = HeadSpec("mlp", 0, learning_rate=0.003, weight_decay=1e-4, epochs=6, batch_size=32)
NMTUNE = replace(MLP, method="nmtune")
RELEASED = replace(MLP, method="nmtune-released")
GCE, SCE = replace(LP, method="gce"), replace(LP, method="sce")
MAJORITY, KNN, LOGREG = (HeadSpec(name, 0) for name in ("majority", "knn", "logreg"))
EVERY_METHOD = [LP, MLP, NMTUNE, RELEASED, GCE, SCE, MAJORITY, KNN, LOGREG]


def logits_of(heads, index: int, features: np.ndarray) -> torch.Tensor:
    """Return the scores [N, C] that one of the heads gives."""
    stack = next(stack for stack in heads.stacks if index in stack.members)
    row = stack.rows[stack.members.index(index)]
    with torch.no_grad():
        single = {name: value[row : row + 1] for name, value in stack.parameters.items()}
        return stack.scores(single, torch.from_numpy(features).to(heads.device))[0].cpu()


def test_every_head_gets_what_it_gets_alone(hard):
    """Methods, seeds, hyper-parameters and fractions in any mixture; equal up to rounding of 1e-4 of the logits."""
    part = np.arange(0, 150, 3)
    specs = [replace(spec, seed=seed) for spec in EVERY_METHOD for seed in (1, 2)]
    specs += [replace(spec, fraction=33) for spec in EVERY_METHOD]
    specs += [replace(LP, learning_rate=0.01), replace(MLP, epochs=3), replace(NMTUNE, parameters={"k": 3})]
    specs += [replace(NMTUNE, weight_decay=0.1, parameters={"weight": weight}) for weight in (0.0, 0.1, 1.0)]
    specs += [replace(LOGREG, parameters={"C": strength}) for strength in (0.01, 10.0)]
    together = fit(*hard.training, specs, subsets={33: part})
    for index, spec in enumerate(specs):
        alone = fit(*hard.training, [spec], subsets={33: part})
        assert together.epochs[index] == alone.epochs[0]
        assert together.validation_accuracies[index] == alone.validation_accuracies[0]
        torch.testing.assert_close(
            logits_of(together, index, hard.test_x), logits_of(alone, 0, hard.test_x), rtol=1e-4, atol=1e-4
        )


def test_a_run_repeats_bit_for_bit(hard):
    first, second = (fit(*hard.training, [LP, NMTUNE]) for _ in range(2))
    for index in range(2):
        assert torch.equal(logits_of(first, index, hard.test_x), logits_of(second, index, hard.test_x))


def test_large_heads_get_what_small_ones_get(hard, monkeypatch):
    """Those that are trained in pieces, with the fused optimiser."""
    specs = [replace(spec, seed=seed) for spec in (LP, NMTUNE, RELEASED) for seed in range(3)]
    plain = fit(*hard.training, specs)
    monkeypatch.setattr(training, "LARGE", 0)
    monkeypatch.setattr(training, "NUMBERS_AT_ONCE", 400)
    pieces = fit(*hard.training, specs)
    assert [len(stack.members) for stack in pieces.stacks] == [3, 2, 1, 1, 1, 1]
    for index in range(len(specs)):
        torch.testing.assert_close(
            logits_of(plain, index, hard.test_x), logits_of(pieces, index, hard.test_x), rtol=0.01, atol=0.01
        )


def test_linear_probes_in_closed_form_get_what_autograd_gives_them(hard, monkeypatch):
    specs = [replace(LP, seed=seed, weight_decay=decay) for seed in (0, 1) for decay in (0.0, 0.1)]
    closed = fit(*hard.training, specs)
    monkeypatch.delattr(registry.load("lp"), "logit_gradient")
    automatic = fit(*hard.training, specs)
    assert (closed.epochs == automatic.epochs).all()
    for index in range(len(specs)):
        torch.testing.assert_close(
            logits_of(closed, index, hard.test_x), logits_of(automatic, index, hard.test_x), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("spec", [LP, NMTUNE, RELEASED])
def test_a_gpu_gets_as_many_heads_as_it_has_room_for(spec, hard, monkeypatch):
    rows = SimpleNamespace(dimensions=12)
    gpu = SimpleNamespace(device=torch.device("cuda"), train=rows, train_y=hard.train_y, num_classes=4)
    counts = []
    for free in (1, 10**9, 10**10):
        monkeypatch.setattr(training, "room", lambda device, free=free: free)
        counts.append(training.heads_at_once(spec, gpu))
    assert counts[0] == 1
    assert counts[1] > 100
    assert counts[2] == pytest.approx(10 * counts[1], rel=0.01)
    own = registry.complete(spec.method, {})
    head = initialise(head_of(tuning_method(spec.method), registry.load(spec.method)), 12, 4, [own], [0])
    trained = 4 * sum(value.numel() for value in head.values())
    assert counts[2] * trained * 5 < 10**10


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
    start = initialise(HEADS["linear"], hard.train_x.shape[1], hard.num_classes, [{}], [5])
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
        initialise(HEADS["mlp"], 4, 10, [{"width": 0.1, "depth": 2}], [0])


def test_initial_weights_are_kaiming_uniform_and_biases_zero():
    values = initialise(HEADS["mlp"], 400, 10, [{"width": 0.5, "depth": 2}] * 2, [3, 4])
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


def test_heads_that_differ_in_what_the_loss_takes_per_head_are_one_stack():
    weights = [{"weight": 0.01}, {"weight": 1.0}, {"covariance": 0.0}, {"consistency": 0.0}]
    specs = [replace(NMTUNE, parameters=own, seed=seed) for own in weights for seed in (0, 1)]
    assert len(stacks_of([*specs, MLP, replace(NMTUNE, parameters={"k": 2}), replace(NMTUNE, fraction=50)])) == 4


def test_a_fraction_trains_on_its_samples_alone(hard):
    """Its heads are those of a task that has no other samples."""
    part = np.flatnonzero(np.random.default_rng(0).random(150) < 0.4)
    specs = [replace(spec, fraction=40) for spec in EVERY_METHOD]
    heads = fit(*hard.training, specs, subsets={40: part})
    small = fit(hard.train_x[part], hard.train_y[part], *hard.training[2:], EVERY_METHOD)
    for index in range(len(specs)):
        torch.testing.assert_close(
            logits_of(heads, index, hard.test_x), logits_of(small, index, hard.test_x), rtol=1e-5, atol=1e-5
        )
    with pytest.raises(UserError, match="no samples for a fraction of 40 %"):
        fit(*hard.training, specs)


def test_some_heads_predict_as_all_do(hard):
    specs = [replace(spec, seed=seed) for spec in EVERY_METHOD for seed in range(3)]
    heads = fit(*hard.training, [replace(spec, epochs=1) if spec.epochs else spec for spec in specs])
    every = heads.predict(hard.test_x)
    for wanted in ([5], [26, 0, 13], [4, 3], list(range(27))[::-1]):
        assert np.array_equal(heads.predict(hard.test_x, wanted), every[wanted])


@pytest.mark.parametrize("spec", [LP, MLP, RELEASED])
def test_transformed_features_are_what_the_classifier_sees(hard, spec):
    heads = fit(*hard.training, [replace(spec, epochs=1, seed=seed) for seed in range(2)])
    transformed = heads.transform(hard.test_x, 1)
    values = {name: value[1] for name, value in heads.stacks[0].parameters.items()}
    logits = torch.from_numpy(transformed) @ values["weight"] + values["bias"]
    np.testing.assert_allclose(logits.detach(), logits_of(heads, 1, hard.test_x), rtol=1e-4, atol=1e-4)
    assert np.array_equal(transformed, hard.test_x) == (spec is LP)


def test_several_views_of_nothing_new_change_nothing(hard):
    """Three views that are the same features: each draws some of them, and the features are those of one view."""
    views = np.stack([hard.train_x] * 3)
    for spec in EVERY_METHOD:
        one, three = (fit(x, *hard.training[1:], [spec]) for x in (hard.train_x, views))
        assert torch.equal(logits_of(one, 0, hard.test_x), logits_of(three, 0, hard.test_x))


def test_each_step_draws_views_anew_and_two_different_ones_where_the_loss_wants_two(hard, monkeypatch):
    seen = []

    def record(batch, own):
        seen.append(batch.features[0].clone())
        return cross_entropy(batch.logits, batch.labels)

    number = np.arange(150, dtype=np.float32)
    views = np.stack([np.stack([number, np.full(150, view, np.float32)], axis=1) for view in range(4)])
    for method, count in (("gce", 1), ("nmtune-released", 2)):
        monkeypatch.setattr(registry.load(method), "loss", record)
        seen.clear()
        spec = replace(MLP, method=method, epochs=3)
        fit(views, hard.train_y, np.zeros((8, 2), np.float32), hard.val_y[:8], 4, [spec])
        assert len(seen) == 3 * 5 and seen[0].shape == (32 * count, 2)
        assert {float(view) for batch in seen for view in batch[:, 1]} == {0, 1, 2, 3}
        by_epoch = [torch.cat([batch[: len(batch) // count] for batch in seen[5 * e : 5 * e + 5]]) for e in range(3)]
        assert all(sorted(epoch[:, 0].tolist()) == list(range(150)) for epoch in by_epoch)
        drawn = [epoch[epoch[:, 0].argsort(), 1] for epoch in by_epoch]
        assert not torch.equal(drawn[0], drawn[1])
        for first, second in (batch.chunk(2) for batch in seen if count == 2):
            assert torch.equal(first[:, 0], second[:, 0]) and (first[:, 1] != second[:, 1]).all()


@pytest.mark.parametrize("spec", EVERY_METHOD, ids=lambda spec: spec.method)
class TestAwkwardTasks:
    """What real tasks and their fractions do to a method: every one gives finite scores, and predicts known classes."""

    def check(self, spec, train_x, train_y, num_classes):
        random = np.random.default_rng(9)
        val_x = random.normal(size=(20, train_x.shape[1])).astype(np.float32)
        heads = fit(train_x, train_y, val_x, random.integers(0, num_classes, 20), num_classes, [spec])
        assert np.isfinite(logits_of(heads, 0, val_x).numpy()).all()
        assert set(heads.predict(val_x)[0]) <= set(range(num_classes))
        return heads

    def test_all_features_are_zero(self, spec):
        self.check(spec, np.zeros((70, 5), np.float32), np.arange(70) % 3, 3)

    def test_all_samples_are_the_same(self, spec):
        self.check(spec, np.ones((70, 5), np.float32), np.arange(70) % 3, 3)

    def test_a_class_has_no_sample(self, spec):
        random = np.random.default_rng(0)
        heads = self.check(spec, random.normal(size=(60, 5)).astype(np.float32), np.arange(60) % 3 * 2, 5)
        assert spec.epochs or not {1, 3} & set(heads.predict(random.normal(size=(200, 5)).astype(np.float32))[0])

    def test_a_class_has_one_sample(self, spec):
        self.check(spec, np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32), np.arange(4), 4)

    def test_there_is_one_sample(self, spec):
        self.check(spec, np.ones((1, 5), np.float32), np.zeros(1, np.int64), 2)

    def test_there_are_a_thousand_classes(self, spec):
        random = np.random.default_rng(0)
        features = random.normal(size=(1000, 16)).astype(np.float32)
        small = replace(spec, epochs=2, batch_size=64) if spec.epochs else spec
        self.check(small, features, np.arange(1000), 1000)


def test_a_candidate_of_a_search_may_diverge(easy):
    specs = [replace(NMTUNE, learning_rate=rate) for rate in (0.003, 1e30)]
    heads = fit(*easy.training, specs, may_diverge=True)
    alone = fit(*easy.training, specs[:1])
    assert np.isnan(heads.validation_accuracies).tolist() == [False, True]
    torch.testing.assert_close(logits_of(heads, 0, easy.test_x), logits_of(alone, 0, easy.test_x), rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("home", ["cuda", "cpu"])
def test_a_gpu_gives_the_heads_that_a_processor_gives(hard, monkeypatch, home):
    """With the features on the device, and on the host, where they stay if they do not fit."""
    specs = [replace(spec, seed=seed) for spec in EVERY_METHOD for seed in (1, 2)]
    # Of several epochs, rounding errors may make another one the best.
    specs = [replace(spec, epochs=1) if spec.epochs else spec for spec in specs]
    expected = fit(*hard.training, specs)
    if home == "cpu":
        monkeypatch.setattr(data, "room", lambda device: 0)
    assert data.Rows(hard.train_x, torch.device("cuda")).home.device.type == home
    found = fit(*hard.training, specs, device="cuda")
    for index, spec in enumerate(specs):
        if spec.epochs:
            torch.testing.assert_close(
                logits_of(found, index, hard.test_x), logits_of(expected, index, hard.test_x), rtol=0.02, atol=0.02
            )
    assert (found.predict(hard.test_x) == expected.predict(hard.test_x)).mean(axis=1).min() >= 0.95
