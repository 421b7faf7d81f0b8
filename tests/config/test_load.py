"""A wrong value is refused, and the refusal names its place, what was given, what is allowed, and an example."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nml import plugins
from nml.config.load import check_config, load_config
from nml.config.schema import Pretraining
from nml.errors import UserError
from nml.grid import Noise

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = [ROOT / "config.yaml", *sorted((ROOT / "presets").glob("*.yaml"))]
MISSING = object()

# (where, the wrong value, what the message says was given, what it says is allowed)
WRONG = {
    "misspelt key": ("task", ["x"], "the key 'task' does not exist. Did you mean 'tasks'?", "noise_seed"),
    "misspelt key in a list": ("pretraining.0.nois", {}, "Did you mean 'noise'?", "corpus, noise, recipe, seeds"),
    "misspelt key in a mapping": ("recipes.clip-mini.learning_rat", 1, "Did you mean 'learning_rate'?", "batch_size"),
    "misspelt key in a block": ("recipes.clip-mini.augmentation.rotaton", 1, "Did you mean 'rotation'?", "min_scale"),
    "missing key": ("name", MISSING, "is missing", "a value"),
    "missing key of a recipe": ("recipes.clip-mini.learning_rate", MISSING, "is missing", "Peak learning rate"),
    "ratio 120": ("pretraining.0.noise.symmetric.1", 120, "120 was given", "less than 100"),
    "ratio 0": ("pretraining.0.noise.symmetric.1", 0, "0 was given", "greater than 0"),
    "negative ratio": ("pretraining.0.noise.symmetric.1", -5, "-5 was given", "greater than 0"),
    "ratio that is no number": ("pretraining.0.noise.symmetric.1", "many", "'many' was given", "a valid number"),
    "ratio outside a list": ("pretraining.0.noise.symmetric", 20, "20 was given", "a valid list"),
    "unknown corpus": ("pretraining.0.corpus", "emojis", "the corpus 'emojis' does not exist", "emoji"),
    "corpus without labels": ("pretraining.0.corpus", "cc12m", "the corpus 'cc12m' has no labels", "emoji"),
    "unknown corpus to validate on": ("pretraining.0.validate_on", "emojo", "Did you mean 'emoji'?", "emoji"),
    "nothing to validate on": ("pretraining.1.validate_on", "cc12m", "has no labelled validation images", "imagenet1k"),
    "other classes to validate on": ("pretraining.0.validate_on", "imagenet1k", "other classes", "emoji"),
    "unknown recipe": (
        "pretraining.0.recipe",
        "resnet-mimi",
        "Did you mean 'resnet-mini'?",
        "resnet-mini, resnet50-rsb",
    ),
    "unknown noise kind": (
        "pretraining.0.noise.symetric",
        [5],
        "Did you mean 'symmetric'?",
        "swap, swap-released, symmetric, symmetric-released",
    ),
    "captions' noise for labels": ("pretraining.0.noise.swap", [5], "'swap' does not change the labels", "symmetric"),
    "labels' noise for captions": ("pretraining.1.noise.symmetric", [5], "does not change the captions", "swap"),
    "no seeds": ("pretraining.0.seeds", 0, "0 was given", "greater than or equal to 1"),
    "unknown objective": ("recipes.clip-mini.objective", "clip", "'clip' was given", "'supervised' or 'contrastive'"),
    "architecture of the other objective": (
        "recipes.clip-mini.architecture",
        "resnet-mini",
        "'resnet-mini' serves supervised recipes, and this one is contrastive",
        "clip-mini",
    ),
    "unknown architecture": (
        "recipes.clip-mini.architecture",
        "clip-maxi",
        "the architecture 'clip-maxi' does not exist. Did you mean 'clip-mini'?",
        "clip-mini",
    ),
    "unknown library": ("recipes.resnet-mini.architecture", "tim/resnet50", "Did you mean 'timm'?", "open_clip, timm"),
    "model with a tag": ("recipes.resnet-mini.architecture", "timm/resnet50.a1_in1k", "no weights are", "timm/<model>"),
    "library of another objective": (
        "recipes.clip-mini.architecture",
        "timm/resnet50",
        "serves sup",
        "open_clip/<mo",
    ),
    "unknown base": ("recipes.resnet-mini.base", "rsb-a2", "Did you mean 'resnet50-rsb-a2'?", "clip-rn50"),
    "labels' loss for captions": ("recipes.clip-mini.loss", "bce", "bce needs labels", "cross-entropy, or leave"),
    "mixing captions": ("recipes.clip-mini.mixup", 0.2, "0.2 needs labels", "0, or leave it out"),
    "repeated captions": ("recipes.clip-mini.repeated_augmentation", 3, "3 needs labels", "1, or leave it out"),
    "threshold of another loss": ("recipes.resnet-mini.bce_threshold", 0.2, "the loss is cross-entropy", "loss: bce"),
    "depth that is not dropped": ("recipes.resnet-mini.drop_path", 0.1, "without stochastic depth", "a timm archi"),
    "milestones of a cosine": ("recipes.resnet-mini.milestones", [1], "with the schedule 'cosine'", "'step'"),
    "learning rate that rises": ("recipes.resnet-mini.min_learning_rate", 0.1, "is above the learning", "up to 0.001"),
    "micro batch above the batch": ("recipes.resnet-mini.micro_batch_size", 17, "more than the batch", "up to 16"),
    "optimiser that is not there": ("recipes.resnet-mini.optimizer", "adam", "'adam' was given", "'adamw', 'lamb' or"),
    "warm-up as long as the training": ("recipes.clip-mini.warmup_epochs", 2, "leaves nothing of", "less than 2"),
    "ratio that its address rounds": (
        "pretraining.0.noise.symmetric.1",
        12.3456789,
        "12.3456789 was",
        "at most 6 digits",
    ),
    "ratio that has no address": ("pretraining.0.noise.symmetric.1", 0.00001, "1e-05 was given", "at least 0.0001"),
    "infinite learning rate": ("methods.lp.learning_rate", math.inf, "inf was given", "a finite number"),
    "infinite value of a recipe": ("recipes.clip-mini.weight_decay", math.inf, "inf was given", "a finite number"),
    "no number at all": ("recipes.clip-mini.gradient_clip", math.nan, "nan was given", "a finite number"),
    "recipe's name that is no folder": ("recipes.a/b", {}, "'a/b' was given", "match"),
    "decay rate of 1": ("recipes.clip-mini.betas.1", 1.0, "1.0 was given", "less than 1"),
    "batch of one": ("recipes.clip-mini.batch_size", 1, "1 was given", "greater than or equal to 2"),
    "text for a whole number": ("recipes.clip-mini.epochs", "ten", "'ten' was given", "a valid integer"),
    "fraction for a whole number": ("recipes.clip-mini.epochs", 1.5, "1.5 was given", "a valid integer"),
    "yes for a whole number": ("seeds", True, "True was given", "a valid integer"),
    "number for a switch": ("recipes.clip-mini.augmentation", {"flip": 7}, "7 was given", "a valid boolean"),
    "nothing for a mapping": ("recipes", None, "None was given", "a valid dictionary"),
    "unknown task": ("tasks.0", "emoji-domain", "the task 'emoji-domain' does not exist", "emoji-domains"),
    "part of a task": ("tasks.0", "fashion@25", "parts are rows of the task's own cell", "the whole of it"),
    "no noise of a task": ("tasks.0", "fashion+symmetric", "'fashion+symmetric' is not <name>", "catalogue"),
    "unknown noise of a task": (
        "tasks.0",
        "fashion+symetric-20",
        "Did you mean 'symmetric'?",
        "class-prior, symmetric",
    ),
    "captions' noise of a task": ("tasks.0", "fashion+swap-20", "'swap' cannot be done to the labels", "class-prior"),
    "noise in groups of a task": ("tasks.0", "fashion+asymmetric-20", "'asymmetric' cannot be done", "class-prior"),
    "one task outside a list": ("tasks", "emoji-domains", "'emoji-domains' was given", "a valid list"),
    "no tasks": ("tasks", [], "[] was given", "at least 1"),
    "unknown method": ("methods.nmtun", {}, "Did you mean 'nmtune'?", "lp, majority, mlp, nmtune"),
    "method without learning rate": ("methods.lp.learning_rate", MISSING, "is missing", "a number above 0"),
    "learning rate 0": ("methods.lp.learning_rate", 0, "0 was given", "greater than 0"),
    "learning rate that is no number": ("methods.lp.learning_rate", "high", "'high' was given", "a valid number"),
    "unknown parameter": ("methods.nmtune.wieght", 1, "Did you mean 'weight'?", "learning_rate, weight"),
    "parameter of another method": ("methods.lp.weight", 1, "the key 'weight' does not exist", "learning_rate"),
    "parameter that YAML takes for text": ("methods.nmtune.weight", "1e-2", "'1e-2' was given", "write 0.001"),
    "yes for a parameter": ("methods.nmtune.weight", True, "True was given", "a number"),
    "fraction for a whole parameter": ("methods.nmtune.k", 1.5, "1.5 was given", "a whole number, at least 1"),
    "parameter below its bound": ("methods.nmtune.k", 0, "0 was given", "a whole number, at least 1"),
    "negative weight": ("methods.nmtune.weight", -3, "-3 was given", "a number, at least 0"),
    "infinite weight": ("methods.nmtune.weight", math.inf, "inf was given", "a number, at least 0"),
    "head without width": ("methods.nmtune.width", 0, "0 was given", "a number, at least 0.1"),
    "learning rate of what is not trained": (
        "methods.majority.learning_rate",
        3,
        "'majority' is not trained",
        "nothing",
    ),
    "views of what is not trained": ("methods.majority.views", 2, "'majority' is not trained", "nothing"),
    "parameter of what is not trained": ("methods.majority.weight", 3, "the key 'weight' does not exist", "nothing"),
    "layers that LoRA does not know": ("methods.lora.targets", "heads", "'heads' was given", "one of auto, attention"),
    "no share of the area": ("methods.lora.crop_scale", 2, "2 was given", "a number, at least 0.01, at most 1"),
    "number for a method's switch": ("methods.lora.flip", 1, "1 was given", "true or false"),
    "search over encoders": ("methods.lora.learning_rate", [0.1, 0.01], "an encoder for each value", "one value"),
    "views of tuned encoders": ("methods.lora.views", 2, "changes the images anew in every step", "encoder_rate"),
    "search over ranks": ("methods.lora.rank", [4, 8], "an encoder for each value", "one value"),
    "rank for full fine-tuning": ("methods.ft.rank", 8, "the key 'rank' does not exist", "batch_norm"),
    "learning rate 0 among several": ("methods.lp.learning_rate", [0.1, 0], "0 was given", "greater than 0"),
    "no learning rate at all": ("methods.lp.learning_rate", [], "[] was given", "at least 1"),
    "parameter below its bound among several": ("methods.nmtune.k", [1, 0], "[1, 0] was given", "a whole number"),
    "no value for a parameter": ("methods.nmtune.k", [], "[] was given", "a whole number, at least 1"),
    "several numbers of epochs": ("methods.lp.epochs", [1, 2], "[1, 2] was given", "a valid integer"),
    "variant of nothing": ("methods.lp.method", "nmtun", "Did you mean 'nmtune'?", "lp, majority, mlp, nmtune"),
    "variant of a file that is not there": ("methods.lp.method", "no/file.py", "there is no file no/file.py", "a file"),
    "name of a variant that is no file's": ("methods.a/b", {"method": "lp"}, "'a/b' was given", "match"),
    "fraction above all": ("fractions.0", 101, "101 was given", "less than or equal to 100"),
    "part of a percent": ("fractions.0", 12.5, "12.5 was given", "a valid integer"),
    "a fraction twice": ("fractions", [10, 10], "(10, 10) was given", "each percent once"),
    "no view": ("views", 0, "0 was given", "greater than or equal to 1"),
    "nothing for a method": ("methods.lp", None, "None was given", "a valid dictionary"),
}


def change(values: Any, where: str, value: Any) -> str:
    """Put a value into a configuration at a key path, and return where the error should be."""
    *parents, last = [int(step) if step.isdigit() else step for step in where.split(".")]
    for step in parents:
        if isinstance(values, dict):
            values.setdefault(step, {"betas": [0.9, 0.99], "fractions": [100]}.get(step, {}))
        values = values[step]
    if value is MISSING:
        del values[last]
    else:
        values[last] = value
    return f"{where}.1" if value == [0.1, 0] else f"{where}.flip" if value == {"flip": 7} else where


@pytest.mark.parametrize(("where", "value", "given", "allowed"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused(values: dict[str, Any], where: str, value: Any, given: str, allowed: str) -> None:
    location = change(values, where, value)
    with pytest.raises(UserError) as caught:
        check_config(values, source="my.yaml")
    message = str(caught.value)
    problem = next(part for part in message.split("\n  ") if part.strip().startswith(f"{location}: "))
    following = message[message.index(problem) :]
    assert "my.yaml" in message
    assert given in problem
    assert allowed in following.split("Allowed: ")[1].split("For example")[0]
    assert "Allowed: (nothing)" in following or following.split("For example: ")[1].strip()
    assert "docs/config.md" in message


def test_the_nearest_name_is_the_example(values: dict[str, Any]) -> None:
    change(values, "methods.nmtune.wieght", 1)
    with pytest.raises(UserError, match="For example: weight"):
        check_config(values)


def test_a_task_twice_is_refused(values: dict[str, Any]) -> None:
    values["tasks"] *= 2
    with pytest.raises(UserError, match=r"tasks\.1: the task .* is listed twice"):
        check_config(values)


def test_all_wrong_values_are_named_at_once(values: dict[str, Any]) -> None:
    change(values, "seeds", 0)
    change(values, "recipes.clip-mini.epochs", "ten")
    change(values, "pretraining.0.noise.symmetric.0", 120)
    with pytest.raises(UserError, match="3 values in") as caught:
        check_config(values)
    for where in ("seeds", "recipes.clip-mini.epochs", "pretraining.0.noise.symmetric.0"):
        assert f"  {where}: " in str(caught.value)


@pytest.fixture
def without_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else real(name))


def test_a_tool_to_watch_with_that_is_not_installed_is_refused(values: dict[str, Any], without_wandb: None) -> None:
    with pytest.raises(UserError) as refused:
        check_config(values | {"watch": ["tensorboard", "wandb"]})
    for words in ("watch.1: 'wandb' is asked for", "pip install wandb", "Allowed: tensorboard"):
        assert words in str(refused.value)
    assert check_config(values | {"watch": ["tensorboard"]}).watch == ["tensorboard"]
    assert check_config(values).watch == []


@pytest.mark.parametrize("values", [None, [], "mini", 3])
def test_what_is_no_mapping_is_refused(values: Any) -> None:
    with pytest.raises(UserError, match=r"\(the whole file\)"):
        check_config(values)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml does not exist.*presets"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_yaml_is_refused_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: mini\ntasks: [a, b\n")
    with pytest.raises(UserError, match=r"(?s)broken\.yaml is not valid YAML.*line 3"):
        load_config(tmp_path / "broken.yaml")


def test_a_right_configuration_keeps_its_values_and_gets_the_defaults(values: dict[str, Any]) -> None:
    config = check_config(values)
    assert config.pretraining[0].noise == {"symmetric": [5, 20]}
    assert config.pretraining[1].seeds == 1
    assert config.methods["nmtune"].model_extra == {"weight": 0.01}
    assert config.methods["lp"].epochs == 30
    assert (config.seeds, config.noise_seed) == (3, 0)


def test_numbers_may_be_written_with_an_exponent_without_a_dot(values: dict[str, Any]) -> None:
    """YAML 1.1 takes 1e-3 for text."""
    change(values, "recipes.clip-mini.learning_rate", "1e-3")
    assert check_config(values).recipes["clip-mini"].learning_rate == 0.001


@given(st.integers(1, 10**6 - 1), st.integers(0, 4))
def test_a_percent_that_is_accepted_is_the_one_in_the_address(digits: int, decimals: int) -> None:
    percent = digits / 10**decimals
    try:
        [accepted] = Pretraining(corpus="emoji", recipe="r", noise={"symmetric": [percent]}).noise["symmetric"]
    except ValidationError:
        assert percent >= 100
    else:
        assert Noise.parse(str(Noise("symmetric", percent))).percent == percent == accepted


def test_a_corpus_without_validation_images_needs_another_ones(values: dict[str, Any]) -> None:
    change(values, "pretraining.1.corpus", "cc12m")
    with pytest.raises(UserError, match=r"pretraining\.1\.validate_on: the corpus 'cc12m' has no labelled validation"):
        check_config(values)
    values["pretraining"][1]["validate_on"] = "imagenet1k"
    check_config(values)


def test_entries_that_share_encoders_are_validated_alike(values: dict[str, Any]) -> None:
    values["pretraining"].append(values["pretraining"][1] | {"noise": {}, "validate_on": "imagenet1k"})
    with pytest.raises(UserError, match="another entry of emoji and clip-mini says otherwise"):
        check_config(values)


@pytest.mark.parametrize(
    ("key", "value", "given"),
    [
        ("test_crops", 1, "Did you mean 'test_crop'?"),
        ("rand_augment", "rand-x7", "timm's notation"),
        ("crop_scale", [1.0, 0.5], "the smallest share first"),
    ],
)
def test_a_wrong_transform_of_photographs_is_refused(values: dict[str, Any], key: str, value: Any, given: str) -> None:
    change(values, "recipes.clip-mini.image_transform", {"size": 32, key: value})
    with pytest.raises(UserError) as caught:
        check_config(values)
    assert f"recipes.clip-mini.image_transform.{key}: " in str(caught.value)
    assert given in str(caught.value)


def test_methods_may_have_variants_and_lists_of_values(values: dict[str, Any]) -> None:
    values["methods"] |= {
        "nmtune-k5": {"method": "nmtune", "learning_rate": [0.001, 0.01], "k": [1, 5]},
        "lp-slow": {"method": "lp", "learning_rate": 0.001, "weight_decay": [0, 0.1]},
    }
    methods = check_config(values).methods
    assert methods["nmtune-k5"].learning_rate == [0.001, 0.01]
    assert methods["nmtune-k5"].model_extra == {"k": [1, 5]}
    assert (methods["lp-slow"].learning_rate, methods["lp-slow"].weight_decay) == (0.001, [0, 0.1])


def test_numbers_keep_their_kind(values: dict[str, Any]) -> None:
    values["methods"]["nmtune"] |= {"k": 3, "weight": 1}
    assert check_config(values).methods["nmtune"].model_extra == {"k": 3, "weight": 1}
    assert isinstance(check_config(values).methods["nmtune"].model_extra["k"], int)


def test_a_corpus_whose_noise_is_not_there_yet_is_refused_without_an_example(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "noise_kinds", lambda: {"symmetric": {"CORRUPTS": "labels"}})
    change(values, "pretraining.1.noise", {"symmetric": [5]})
    with pytest.raises(UserError, match=r"does not change the captions.*\n.*Allowed: \(nothing\)"):
        check_config(values)


def test_a_recipe_means_the_same_in_every_configuration_that_is_shipped() -> None:
    """Encoders are addressed by the name of their recipe, and results of two configurations share a folder."""
    seen: dict[str, Any] = {}
    for path in CONFIGURATIONS:
        for name, recipe in load_config(path).recipes.items():
            assert seen.setdefault(name, recipe) == recipe, f"{path.name}: {name}"


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_every_configuration_that_is_shipped_is_right(path: Path) -> None:
    load_config(path)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_a_loss_that_compares_two_views_has_two_in_every_configuration_that_is_shipped(path: Path) -> None:
    config = load_config(path)
    for name, entry in config.methods.items():
        assert (entry.views or config.views) >= plugins.tuning_method(entry.method or name).views


def test_configurations_are_shipped() -> None:
    assert {path.name for path in CONFIGURATIONS} >= {"config.yaml", "smoke.yaml"}


def test_the_default_configuration_is_the_mini_matrix() -> None:
    config = load_config(ROOT / "config.yaml")
    noise = {(family.recipe, *family.noise): next(iter(family.noise.values())) for family in config.pretraining}
    assert noise == {("resnet-mini", "symmetric"): [5, 10, 20, 30], ("clip-mini", "swap"): [5, 10, 20, 30]}
    assert list(config.methods) == ["majority", "lp", "mlp", "nmtune"]
    groups = [set(plugins.tasks()[task].tests.values()) for task in config.tasks]
    assert sum("ood" not in group for group in groups) == 14
    assert sum("ood" in group for group in groups) == 1
