"""An experiment: every key of every section can be set, and what cannot be is named as written."""

# What dictionaries hold is of all kinds.
# pyright: reportArgumentType=false

import dataclasses
import importlib
import itertools
import typing

import pytest
from ml_collections import ConfigDict

from configs import base, finetune, humanml3d_latent, small, tiny, vimogen_1b
from tests.helpers.experiments import changed, experiment_of
from tests.helpers.repository import sources
from tests.helpers.tiny_package import tiny_package
from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import DataConfig, Experiment
from vimogen_jax.models.vimogen import ModelConfig
from vimogen_jax.package import describe, find, save_package
from vimogen_jax.sharding import STRATEGIES, Strategy

PAGES = [
    importlib.import_module(f"configs.{path.stem}")
    for path in sources("configs")
    if path.stem not in ("__init__", "base", "curate")  # which is no experiment
]


def keys(config, prefix=""):
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def fields(cls, prefix=""):
    """All keys that the dataclasses of a tree have."""
    for field in dataclasses.fields(cls):
        kind, *_ = typing.get_args(field.type) or [field.type]  # what may be None, too
        if dataclasses.is_dataclass(kind) and kind is not Strategy:
            yield from fields(kind, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_every_config_has_every_key(page):
    sharding = {f"sharding.{field.name}" for field in dataclasses.fields(Strategy)}
    wanted = {*fields(Experiment), *sharding, "sharding.strategy"} - {"sharding"}
    # A dictionary whose keys are the user's own, or are known to another room.
    wanted = (wanted - {"data.text_share"}) | {"data.text_share.high", "data.text_share.low"}
    assert set(keys(page.get_config())) == wanted == set(keys(base.get_config()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_every_config_is_an_experiment_and_comes_back_from_what_a_run_writes(page):
    if page is humanml3d_latent:  # starts from a run that nobody has made here
        experiment = Experiment.recorded(page.get_config().to_dict())
    else:
        experiment = experiment_of(page)
    assert Experiment.recorded(dataclasses.asdict(experiment)) == experiment
    assert hash(experiment.objective) and hash(experiment.sampler)  # so that jit may take them


def test_what_is_not_set_is_as_in_the_checkpoint():
    shipped = describe(find("small"))
    experiment = experiment_of(finetune, model=dict(remat="dots"), sampler=dict(steps=7))
    assert experiment.init_from == "small"
    assert experiment.model == dataclasses.replace(shipped.model, remat="dots")
    assert experiment.objective == shipped.objective
    assert experiment.sampler == dataclasses.replace(shipped.sampler, steps=7)


def test_parts_that_begin_neutral_may_be_new_to_a_checkpoint(tmp_path):
    save_package(tmp_path / "base", tiny_package())
    new = dict(reference_widths=(0.0, 1.5), infill=True)
    base = str(tmp_path / "base")
    experiment = experiment_of(finetune, init_from=base, finetune=dict(lora_rank=0), model=new)
    assert experiment.model.gated and experiment.model.infill
    save_package(tmp_path / "base", tiny_package(reference_widths=(0.0,)))
    with pytest.raises(BadInput, match=r"reference_widths is \(0.0, 1.5\), but that of"):
        experiment_of(finetune, init_from=base, finetune=dict(lora_rank=0), model=new)


def test_a_checkpoint_is_found_from_another_folder(tmp_path, monkeypatch):
    save_package(tmp_path / "base", tiny_package())
    monkeypatch.chdir(tmp_path)
    assert experiment_of(finetune, init_from="base").init_from == str(tmp_path / "base")


def test_adapters_can_be_planned_and_measured_without_the_weights_that_they_adapt():
    experiment = experiment_of(vimogen_1b, finetune=dict(lora_rank=16))
    assert experiment.finetune.needs_base and not experiment.init_from


def test_what_is_not_set_has_the_librarys_default_without_a_checkpoint():
    experiment = experiment_of(small, model=dict(dtype=None, freq_dim=None))
    assert (experiment.model.dtype, experiment.model.freq_dim) == ("bfloat16", 256)
    assert experiment.data.weights == {} and experiment.sharding == STRATEGIES["fsdp"]
    with pytest.raises(BadInput, match=r"^config\.model\.dim is not set"):
        experiment_of(finetune, init_from="", finetune=dict(lora_rank=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(optim=dict(learning_rat=1.0)), "config.optim.learning_rat is unknown; did you mean"),
        (dict(daat={}), "config.daat is unknown; did you mean data?"),
        (dict(model=dict(width=3)), "config.model.width is unknown; known are dim, "),
        (dict(sharding=dict(mash={})), "config.sharding.mash is unknown; did you mean mesh?"),
        (dict(model=3), "config.model must be a dictionary, not 3"),
        (dict(optim=dict(b1="x")), "config.optim.b1 must be a number, not 'x'"),
        (dict(optim=dict(b1=True)), "config.optim.b1 must be a number, not True"),
        (dict(optim=dict(b1=float("nan"))), "config.optim.b1 must be finite, not nan"),
        (dict(seed=1.5), "config.seed must be a whole number, not 1.5"),
        (dict(seed=-1), "config.seed must be at least 0, not -1"),
        (dict(data=dict(buckets=40)), "config.data.buckets must be a list, not 40"),
        (dict(data=dict(weights=[1])), r"config.data.weights must be a dictionary, not \[1\]"),
        (dict(data=dict(weights=dict(a="b"))), "config.data.weights.a must be a number, not 'b'"),
        (dict(data=dict(workers=0)), "config.data.workers must be at least 1, not 0"),
        (dict(data=dict(corrupt="maybe")), "config.data.corrupt must be refuse or skip, not 'ma"),
        (
            dict(objective=dict(corruption=dict(noise_rate=(1, 2, 3)))),
            r"config.objective.corruption.noise_rate must have 2 values, not \(1, 2, 3\)",
        ),
        (dict(sampler=dict(start=0.0)), "config.sampler.start must lie above 0 and up to 1"),
        (dict(finetune=dict(lora_rank=-1)), "config.finetune.lora_rank must be at least 0"),
        (dict(train=dict(keep=0)), "config.train.keep must be at least 1, not 0"),
        (dict(init_from="nowhere"), "there is no checkpoint nowhere: name its folder"),
        (dict(model=dict(least_trust=2.0)), "config.model.least_trust must lie in 0 to 1"),
        (
            dict(model=dict(reference_widths=(0.0,)), objective=dict(prediction="velocity")),
            "config.model.reference_widths is of models whose objective.prediction is sample",
        ),
        (dict(objective=dict(infill=dict(share=0.1))), "config.objective.infill is of a model"),
        (dict(objective=dict(camera=dict(held=2.0))), "config.objective.camera.held must lie in 0"),
        (
            dict(objective=dict(camera=dict(like="nowhere.json"))),
            "config.objective.camera.like: nowhere.json is missing",
        ),
        (dict(init_from="small"), r"config.model.dim is 32, but that of config.init_from is 192"),
    ],
)
def test_what_cannot_be_is_named_as_the_user_wrote_it(changes, message):
    with pytest.raises(BadInput, match=f"^{message}"):
        experiment_of(tiny, **changes)


def refusal(config) -> list[str]:
    try:
        Experiment.from_config(config)
    except BadInput as fault:
        return [str(fault)]
    return []


@pytest.mark.parametrize("page", [tiny, vimogen_1b], ids=["tiny", "vimogen_1b"])
def test_each_key_of_another_type_is_refused_by_its_name(page):
    """Whatever stands at a key, it is an experiment or a sentence that begins with that key."""
    for key, value in itertools.product(
        keys(page.get_config()), ("text", -1, 2.5, (), {"a": 1}, True, [[[]]])
    ):
        change = value
        for part in reversed(key.split(".")):
            change = {part: change}
        config = changed(page.get_config().to_dict(), change)
        faults = refusal(config)
        section = f"config.{key.rpartition('.')[0]}" if "." in key else f"config.{key}"
        known = (section, "there is no checkpoint", "sharding strategy", "the mesh of config")
        assert all(fault.startswith(known) for fault in faults), faults


def test_lists_of_a_file_are_what_they_were_as_tuples():
    given = dict(path="", batch_size=1, text_share={}, null_text_probability=0, buckets=[40, 60])
    assert parse(DataConfig, given, "config").buckets == (40, 60)
    sizes = dict(dim=4, ffn_dim=4, num_heads=2, num_layers=2, text_dim=3)
    assert parse(ModelConfig, ModelConfig(**sizes), "config") == ModelConfig(**sizes)
