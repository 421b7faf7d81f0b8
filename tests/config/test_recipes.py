"""The shipped recipes are whole, say what the papers say, and can be named and built on."""

import re
from typing import Any

import pytest

from nml import plugins
from nml.config.load import check_config
from nml.config.recipe_checks import recipe_problems
from nml.config.recipes import Recipe
from nml.errors import UserError

# What the sources of the recipes say.
FACTS = {
    "resnet50-rsb-a1": {"epochs": 600, "learning_rate": 5e-3, "weight_decay": 0.01, "mixup": 0.2, "drop_path": 0.05},
    "resnet50-rsb-a2": {"epochs": 300, "learning_rate": 5e-3, "weight_decay": 0.02, "mixup": 0.1, "drop_path": 0.05},
    "resnet50-rsb-a3": {"epochs": 100, "learning_rate": 8e-3, "weight_decay": 0.02, "mixup": 0.1, "drop_path": 0},
    "resnet50-torchvision-v1": {"epochs": 90, "batch_size": 256, "milestones": (30, 60), "decay_factor": 0.1},
    "clip-rn50": {"batch_size": 1024, "betas": (0.9, 0.999), "epsilon": 1e-8, "warmup_steps": 10_000},
    "clip-vit-b16": {"batch_size": 8192, "betas": (0.9, 0.98), "epsilon": 1e-6, "architecture": "open_clip/ViT-B-16"},
    "clip-vit-b32": {"batch_size": 8192, "betas": (0.9, 0.98), "epsilon": 1e-6, "architecture": "open_clip/ViT-B-32"},
}
RSB = {"optimizer": "lamb", "batch_size": 2048, "loss": "bce", "schedule": "cosine", "min_learning_rate": 1e-6}
RSB |= {"warmup_epochs": 5, "cutmix": 1.0, "decay_all": False, "architecture": "timm/resnet50"}
CLIP = {"optimizer": "adamw", "learning_rate": 5e-4, "weight_decay": 0.1, "epochs": 32, "schedule": "cosine"}


def shipped(name: str) -> Recipe:
    return Recipe.model_validate(plugins.shipped_recipe(name))


def only(values: dict[str, Any], recipe: str, **recipes: Any) -> dict[str, Any]:
    """Return a configuration with one family, of ImageNet-1K and a recipe."""
    return values | {"pretraining": [{"corpus": "imagenet1k", "recipe": recipe}], "recipes": recipes}


@pytest.mark.parametrize("name", plugins.shipped_recipes())
def test_a_shipped_recipe_is_right_and_says_what_its_sources_say(name: str) -> None:
    recipe = shipped(name)
    assert list(recipe_problems(("recipes", name), recipe)) == []
    family = RSB if "-rsb-" in name else CLIP if name.startswith("clip-") else {}
    for key, value in (family | FACTS[name]).items():
        assert getattr(recipe, key) == value, key


@pytest.mark.parametrize("name", plugins.shipped_recipes())
def test_every_value_has_its_source_beside_it(name: str) -> None:
    lines = (plugins.PACKAGE / plugins.RECIPES / f"{name}.yaml").read_text().splitlines()
    values = [line for line in lines if not line.startswith("#")]
    without = [line for line in values if not re.search(r"\S  +# \S", line)]
    assert without == [line for line in values if line in ("objective: supervised", "objective: contrastive")] + [
        "image_transform:"
    ]


def test_repeated_augmentation_and_transforms_of_rsb() -> None:
    a1, a2, a3 = (shipped(f"resnet50-rsb-a{number}") for number in (1, 2, 3))
    assert [recipe.repeated_augmentation for recipe in (a1, a2, a3)] == [3, 3, 1]
    assert [recipe.label_smoothing for recipe in (a1, a2, a3)] == [0.1, 0, 0]
    assert [recipe.image_transform.size for recipe in (a1, a2, a3)] == [224, 224, 160]
    assert [recipe.image_transform.rand_augment[:7] for recipe in (a1, a2, a3)] == ["rand-m7", "rand-m7", "rand-m6"]
    assert all(recipe.image_transform.test_crop == 0.95 for recipe in (a1, a2, a3))


def test_a_shipped_recipe_can_be_named_without_being_listed(values: dict[str, Any]) -> None:
    config = check_config(only(values, "resnet50-rsb-a2"))
    assert config.recipes == {"resnet50-rsb-a2": shipped("resnet50-rsb-a2")}


def test_a_recipe_overrides_keys_of_its_base(values: dict[str, Any]) -> None:
    mine = {"base": "resnet50-rsb-a2", "architecture": "timm/resnet18", "image_transform": {"size": 128}}
    recipe = check_config(only(values, "mine", mine=mine)).recipes["mine"]
    base = shipped("resnet50-rsb-a2")
    transform = base.image_transform.model_copy(update={"size": 128})
    changed = {"architecture": "timm/resnet18", "image_transform": transform}
    assert recipe.model_dump() == base.model_copy(update=changed).model_dump()
    assert "base" not in recipe.model_dump(), "it shaped the recipe; the weights come from what it became"


def test_an_unknown_base_is_refused_with_the_nearest(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"recipes\.mine\.base: .*'rsb-a2'.* Did you mean 'resnet50-rsb-a2'\?"):
        check_config(only(values, "mine", mine={"base": "rsb-a2"}))


def test_a_wrong_override_is_refused_like_any_other_value(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"recipes\.mine\.learning_rat: .*Did you mean 'learning_rate'"):
        check_config(only(values, "mine", mine={"base": "resnet50-rsb-a2", "learning_rat": 1}))


def test_no_base_is_none(values: dict[str, Any]) -> None:
    whole = next(iter(values["recipes"].values()))
    with_null, without = (check_config(only(values, "mine", mine=mine)) for mine in (whole | {"base": None}, whole))
    assert with_null == without


@pytest.mark.parametrize("base", [["resnet50-rsb-a2"], {"name": "x"}, 5])
def test_a_base_that_is_no_name_is_refused(values: dict[str, Any], base: Any) -> None:
    with pytest.raises(UserError, match=r"recipes\.mine\.base: the shipped recipe .* does not exist"):
        check_config(only(values, "mine", mine={"base": base}))


def test_a_key_that_is_no_text_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"recipes\.mine\.7: "):
        check_config(only(values, "mine", mine={"base": "resnet50-rsb-a2", 7: 1}))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"schedule": "step"}, "milestones"),
        ({"schedule": "step", "milestones": [60, 30]}, "milestones"),
        ({"schedule": "step", "milestones": [300]}, "milestones"),
        ({"augmentation": {"rotation": 10}}, "augmentation"),
        ({"image_transform": {"crop_scale": [1.0, 0.1]}}, "image_transform.crop_scale"),
        ({"image_transform": {"rand_augment": "randm7"}}, "image_transform.rand_augment"),
        ({"architecture": "torchvision/resnet50"}, "drop_path"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, Any], changes: Any, where: str) -> None:
    with pytest.raises(UserError, match=rf"recipes\.mine\.{where}: "):
        check_config(only(values, "mine", mine={"base": "resnet50-rsb-a2"} | changes))


def test_nothing_in_a_recipe_is_left_to_the_default_of_the_optimiser() -> None:
    for name in plugins.shipped_recipes():
        given = set(plugins.shipped_recipe(name))
        needed = {"sgd": {"momentum"}}.get(shipped(name).optimizer, {"betas", "epsilon"})
        assert needed | {"gradient_clip", "decay_all", "precision", "image_transform"} <= given
