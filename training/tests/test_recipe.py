from __future__ import annotations

import dataclasses
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from conftest import RECIPE
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.recipe.load import load_recipe, recipe_from, write_recipe
from terrain_training.settings.recipe import Recipe
from terrain_training.settings.validation import expected_of
from terrain_training.yaml_file import LIMIT_BYTES

CONFIGS = Path(__file__).parents[1] / "configs"
MINIMAL = """
name: least
data: {source: ai4mars}
network:
  kind: unet
  options:
    channels: [4, 8]
    convolutions: [1, 1]
    dropout: [0.0, 0.0]
    norm: each
    upsampling: nearest
"""


def write(folder: Path, text: str, *, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def least(tmp_path) -> Path:
    return write(tmp_path, MINIMAL)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_load_and_are_named_as_their_files(path):
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.description


def test_there_are_shipped_recipes():
    assert len(list(CONFIGS.glob("*.yaml"))) >= 12


def test_what_a_recipe_does_not_say_is_the_base(least):
    recipe = load_recipe(least)
    assert recipe.version == "0.1.0"
    assert (recipe.data.height_px, recipe.data.width_px, recipe.data.channels) == (256, 256, "rgb")
    assert recipe.data.channel_count == 3
    assert (recipe.data.mean, recipe.data.std, recipe.data.resize) == ([127.5], [127.5], "stretch")
    assert recipe.data.taxonomy is None
    assert recipe.network.activation == "softmax"
    training = recipe.training
    assert (training.epochs, training.batch_size, training.seed) == (20, 16, 42)
    assert (training.optimiser, training.learning_rate) == ("adam", 1.0e-3)
    assert training.encoder_learning_rate is None
    assert (training.losses, training.class_weights) == ({"cross_entropy": 1.0}, "none")
    assert recipe.augmentation == []
    assert recipe.export.batch == 0


def test_a_recipe_extends_others_beside_it_and_the_nearest_wins(tmp_path):
    write(tmp_path, MINIMAL + "training: {epochs: 3, batch_size: 2}\n", name="first.yaml")
    (tmp_path / "deeper").mkdir()
    middle = "extends: ../first.yaml\nname: second\ntraining: {batch_size: 5, seed: 9}\n"
    write(tmp_path / "deeper", middle, name="second.yaml")
    last = write(tmp_path, "extends: deeper/second.yaml\ntraining: {seed: 1}\n")
    recipe = load_recipe(last)
    assert recipe.name == "second"
    training = recipe.training
    assert (training.epochs, training.batch_size, training.seed) == (3, 5, 1)


def test_losses_and_options_are_given_whole(tmp_path):
    write(tmp_path, MINIMAL + "training: {losses: {dice: 1.0, focal: 0.5}}\n", name="first.yaml")
    text = "extends: first.yaml\ntraining: {losses: {lovasz: 1.0}}\ndata: {options: {seed: 7}}\n"
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.training.losses == {"lovasz": 1.0}
    assert recipe.data.options == {"seed": 7}


@pytest.mark.parametrize(
    ("text", "section", "name", "value"),
    [
        ("training.epochs=2", "training", "epochs", 2),
        ("training.learning_rate=1.0e-2", "training", "learning_rate", 0.01),
        ("training.weight_decay=1", "training", "weight_decay", 1.0),
        ("training.encoder_learning_rate=null", "training", "encoder_learning_rate", None),
        ("training.losses={dice: 2}", "training", "losses", {"dice": 2.0}),
        ("training.class_weights=[1, 2.5]", "training", "class_weights", [1.0, 2.5]),
        ("training.class_weights=inverse_sqrt", "training", "class_weights", "inverse_sqrt"),
        ("data.channels=grey", "data", "channels", "grey"),
        ("data.options={seed: 3}", "data", "options", {"seed": 3}),
        ("export.round_to_bfloat16=true", "export", "round_to_bfloat16", True),
    ],
)
def test_overrides_have_the_type_of_their_key(least, text, section, name, value):
    given = getattr(getattr(load_recipe(least, overrides=[text]), section), name)
    assert given == value
    assert type(given) is type(value)


def settings_models(kind=Recipe, prefix=""):
    """Yield the full key and the declaration of every setting."""
    for name, field in kind.__pydantic_fields__.items():
        if dataclasses.is_dataclass(field.annotation):
            yield from settings_models(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def test_every_setting_says_what_it_means_and_what_it_accepts():
    for key, field in settings_models():
        assert field.description, key
        assert "another value" not in expected_of(field.annotation, field.metadata), key


def test_the_base_gives_every_setting_a_value_but_those_that_a_recipe_must_give(least):
    kept = yaml.safe_load((files("terrain_training.recipe") / "base.yaml").read_text())
    given = {
        key
        for name, value in kept.items()
        for key in ([f"{name}.{each}" for each in value] if isinstance(value, dict) else [name])
    }
    assert {key for key, _ in settings_models()} - given == {"name", "data.source", "network.kind"}


def test_a_later_override_wins_and_top_level_keys_work(least):
    given = ["training.epochs=2", "name=other", "training.epochs=4"]
    recipe = load_recipe(least, overrides=given)
    assert (recipe.training.epochs, recipe.name) == (4, "other")


def test_an_override_may_name_a_taxonomy_file(least):
    file = CONFIGS / "taxonomies" / "lunar_rock.yaml"
    recipe = load_recipe(least, overrides=[f"data.taxonomy={file}"])
    assert recipe.data.taxonomy == yaml.safe_load(file.read_text(encoding="utf-8"))


def test_a_snapshot_reads_back_equal_and_stands_alone(tmp_path):
    origin = tmp_path / "origin"
    (origin / "taxonomies").mkdir(parents=True)
    write(origin, "# seen\nfirst_1  # dark\nsecond_2\nfirst_1\n", name="removed.txt")
    text = (CONFIGS / "taxonomies" / "lunar_rock.yaml").read_text(encoding="utf-8")
    taxonomy = write(origin / "taxonomies", text, name="rock.yaml")
    write(origin, RECIPE, name="tiny.yaml")
    child = (
        "extends: tiny.yaml\nname: küste\n"
        "data: {source: mars_terrain, options: {removed: removed.txt}, "
        "taxonomy: taxonomies/rock.yaml}\n"
    )
    recipe = load_recipe(write(origin, child), overrides=["training.epochs=3"])
    assert recipe.data.options["removed"] == ["first_1", "second_2"]
    assert recipe.data.taxonomy == yaml.safe_load(taxonomy.read_text(encoding="utf-8"))
    snapshot = tmp_path / "run.yaml"
    write_recipe(recipe, snapshot)
    for path in sorted(origin.rglob("*.*")):
        path.unlink()
    assert load_recipe(snapshot) == recipe
    kept = yaml.safe_load(snapshot.read_text(encoding="utf-8"))
    assert "extends" not in kept
    assert kept["name"] == "küste"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_survive_their_snapshot(path, tmp_path):
    recipe = load_recipe(path)
    write_recipe(recipe, tmp_path / "run.yaml")
    assert load_recipe(tmp_path / "run.yaml") == recipe
    assert recipe_from(dataclasses.asdict(recipe), source="card") == recipe


@pytest.mark.parametrize(
    ("override", "named", "remedy"),
    [
        ("training.epoch=3", "training.epoch is unknown; did you mean epochs", "known are .*seed"),
        ("trainings={}", "recipe key trainings is unknown", "known are .*training"),
        ("training.epochs=three", "training.epochs is 'three'", "expected a whole number"),
        ("training.epochs=true", "training.epochs is true", "expected a whole number"),
        ("training.epochs=2.5", "training.epochs is 2.5", "expected a whole number"),
        ("training.learning_rate=.nan", r"training.learning_rate is \.nan", "finite"),
        ("training.weight_decay=.inf", r"training.weight_decay is \.inf", "finite"),
        ("training=3", "training is 3", "expected a mapping"),
        ("credits=me", "credits is 'me'", "expected a list"),
        ("credits=[1]", r"credits\[0\] is 1", "expected text"),
        ("data.taxonomy=[a]", "data.taxonomy", "expected"),
        ("training.epochs=0", "training.epochs is 0", "more than 0"),
        ("training.batch_size=-1", "training.batch_size is -1", "more than 0"),
        ("training.learning_rate=1e38", "learning_rate is '1e38'", "at most 1e"),
        ("training.encoder_learning_rate=1e31", "encoder_learning_rate is '1e31'", "at most 1e"),
        ("training.learning_rate=0", "training.learning_rate is 0,", "more than 0"),
        ("training.encoder_learning_rate=0", "encoder_learning_rate is 0,", "more than 0"),
        ("training.ema_decay=1", "training.ema_decay is 1,", "0 to below 1"),
        ("training.warmup_share=-0.1", "training.warmup_share is -0.1", "0 to below 1"),
        ("training.momentum=1.5", "training.momentum is 1.5", "0 to below 1"),
        ("training.seed=-1", "training.seed is -1", "0 or more"),
        ("training.gradient_clip=-1", "training.gradient_clip is -1,", "0 or more"),
        ("training.focal_gamma=-1", "training.focal_gamma is -1,", "0 or more"),
        ("training.example_images=-1", "training.example_images is -1", "0 or more"),
        ("training.precision=fp8", "training.precision is 'fp8'", "fp32"),
        ("training.optimiser=lion", "training.optimiser is 'lion'", "adamw"),
        ("training.schedule=poly", "training.schedule is 'poly'", "cosine"),
        ("training.losses={hinge: 1}", "training.losses.hinge is unknown", "lovasz"),
        ("training.losses={}", "training.losses is {}", "at least 1 of them"),
        ("training.losses={dice: 0}", "training.losses.dice is 0", "more than 0"),
        ("training.losses={dice: much}", "training.losses.dice is 'much'", "expected a number"),
        ("training.class_weights=auto", "training.class_weights is 'auto'", "median_frequency"),
        ("training.class_weights=[1, 0]", "training.class_weights is", "each more than 0"),
        ("training.class_weights=[]", "training.class_weights is", "each more than 0"),
        ("data.height_px=8", "data.height_px is 8", "16 to 4096"),
        ("data.width_px=5000", "data.width_px is 5000", "16 to 4096"),
        ("data.width_px=33", "data.height_px and width_px", "multiples of 2"),
        ("data.mean=[1, 2]", "data.mean is", "expected 1 or 3 numbers"),
        ("data.std=[]", "data.std is", "expected 1 or 3 numbers"),
        ("data.std=[0]", r"data.std\[0\] is 0", "more than 0"),
        ("data.cache_mib=-1", "data.cache_mib is -1", "0 or more"),
        ("data.workers=-1", "data.workers is -1", "0 or more"),
        ("data.channels=bgr", "data.channels is 'bgr'", "grey"),
        ("data.resize=zoom", "data.resize is 'zoom'", "letterbox"),
        ("data.source=holidays", "data.source is 'holidays'", "lunar_landscape"),
        ("data.options={sead: 3}", "data.options.sead is unknown; did you mean seed", "takes"),
        ("data.options={colour: red}", "data.options.colour is unknown", "ai4mars takes .*seed"),
        ("network.kind=transformer", "network.kind is 'transformer'", "unet"),
        ("network.activation=tanh", "network.activation is 'tanh'", "sigmoid"),
        ("network.options={depth: 3}", "network.options.depth is unknown", "unet takes"),
        ("network.options={}", "network.options.channels is missing", "unet takes"),
        ("augmentation=[{name: zoom}]", r"augmentation\[0\]\.name is 'zoom'", "flip_vertical"),
        ("augmentation={}", "augmentation is {}", "expected a list"),
        ("augmentation=[3]", r"augmentation\[0\] is 3", "expected a mapping"),
        ("export.batch=2", "export.batch is 2", "0 to 1 .batch size of the file; 0 accepts any"),
        ("sharpening.sigma_px=0", "sharpening.sigma_px is 0", "more than 0"),
        ("sharpening.min_area_px=-1", "sharpening.min_area_px is -1", "0 or more"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(least, override, named, remedy):
    with pytest.raises(ConfigError, match=named) as caught:
        load_recipe(least, overrides=[override])
    assert caught.match(remedy)


@pytest.mark.parametrize("text", ["training.epochs", "=3", "training..epochs=3", "training.=3"])
def test_an_override_that_is_none_shows_the_form(least, text):
    with pytest.raises(ConfigError, match=r"expected KEY=VALUE, such as training\.epochs=2"):
        load_recipe(least, overrides=[text])


def test_an_override_that_is_not_valid_yaml_is_named(least):
    with pytest.raises(ConfigError, match=r"losses=\{': the value is not valid YAML"):
        load_recipe(least, overrides=["training.losses={"])


@pytest.mark.parametrize("key", ["name", "data", "network"])
def test_a_key_without_a_base_value_must_be_given(tmp_path, key):
    values = yaml.safe_load(MINIMAL)
    del values[key]
    missing = {"name": "name", "data": "data.source", "network": "network.kind"}[key]
    with pytest.raises(ConfigError, match=f"recipe key {missing} is missing; add it"):
        load_recipe(write(tmp_path, yaml.safe_dump(values)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "expected a recipe: a mapping"),
        ("", "expected a recipe: a mapping"),
        ("just words", "expected a recipe: a mapping"),
        ("a: [1,\n", "not valid YAML"),
        ("extends: [a]\n", r"extends is \[a\], expected a file or a name"),
        ("extends: none.yaml\n", r"none\.yaml does not exist; .*terrain-train list recipes"),
        ("training: 3\n", "training is 3, expected a mapping"),
        ("name: !!python/object/apply:os.getcwd []\n", "has the YAML tag .*python/object"),
        ("name: !!python/name:os.system\n", "has the YAML tag .*python/name"),
        ("data: {taxonomy: gone.yaml}\n", r"gone\.yaml does not exist"),
        ("data: {options: {removed: gone.txt}}\n", r"gone\.txt.*one name per line"),
    ],
)
def test_files_that_are_no_recipe_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"recipe\.yaml: is not valid YAML"):
        load_recipe(path)


def test_a_file_without_end_is_refused(tmp_path):
    path = write(tmp_path, MINIMAL + "#" * LIMIT_BYTES)
    with pytest.raises(ConfigError, match=f"the limit is {LIMIT_BYTES}"):
        load_recipe(path)


@pytest.mark.parametrize(("count", "fits"), [(8000, True), (20_000, False)])
def test_a_long_list_of_removed_samples_survives_the_snapshot_or_is_refused(
    tmp_path, least, count, fits
):
    names = [f"NLB_{number:09d}EDR_F0540006NCAM00267M1" for number in range(count)]
    removed = tmp_path / "removed.txt"
    removed.write_text("\n".join(names), encoding="utf-8")
    overrides = [f"data.options.removed={removed}"]
    if not fits:
        with pytest.raises(ConfigError, match=f"removed has {count} names, too many"):
            load_recipe(least, overrides=overrides)
        return
    recipe = load_recipe(least, overrides=overrides)
    write_recipe(recipe, tmp_path / "snapshot.yaml")
    assert load_recipe(tmp_path / "snapshot.yaml") == recipe


def test_a_loop_of_extends_is_refused(tmp_path):
    write(tmp_path, "extends: two.yaml\n", name="one.yaml")
    path = write(tmp_path, "extends: one.yaml\n", name="two.yaml")
    with pytest.raises(ConfigError, match="extends more than 5 others; shorten it"):
        load_recipe(path)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml does not exist; .*list recipes"):
        load_recipe(tmp_path / "none.yaml")


def test_a_recipe_in_a_card_that_cannot_be_used_is_named(least):
    whole = dataclasses.asdict(load_recipe(least))
    del whole["name"]
    with pytest.raises(ConfigError, match=r"the card keeps no recipe .*name is missing"):
        recipe_from(whole, source="the card")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("training: {epochs: 2}\ntraining: {batch_size: 2}\n", "'training' occurs in line"),
        ("training: {epochs: 2, epochs: 3}\n", "'epochs' occurs in line"),
        ("augmentation:\n  - {name: flip_vertical, name: hue}\n", "'name' occurs in line"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(tmp_path, text, told):
    with pytest.raises(ConfigError, match=f"{told}.* the first would be lost"):
        load_recipe(write(tmp_path, MINIMAL + text))


def test_a_key_that_is_given_twice_in_an_override_is_refused(least):
    with pytest.raises(ConfigError, match="or gives a key twice"):
        load_recipe(least, overrides=["training.losses={dice: 1.0, dice: 2.0}"])


def test_a_date_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not valid YAML: month must be in"):
        load_recipe(write(tmp_path, MINIMAL + "version: 2026-13-45\n"))


def test_what_is_merged_may_be_overridden(tmp_path):
    text = MINIMAL + "training: &t {epochs: 2, batch_size: 3}\n"
    with pytest.raises(ConfigError, match="other is unknown"):  # read, not taken for a key twice
        load_recipe(write(tmp_path, text + "other: {<<: *t, epochs: 5}\n"))
