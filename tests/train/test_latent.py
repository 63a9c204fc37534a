"""From an autoencoder to a flow of its latents, by the one trainer; and what is refused on it."""

import dataclasses

import jax
import numpy as np
import pytest

from configs import humanml3d_latent, humanml3d_vae
from tests.helpers.experiments import experiment_of
from tests.helpers.runs import reported
from tests.helpers.synthetic import ENCODER
from vimogen_jax.errors import BadInput
from vimogen_jax.models.parameters import abstract_params, flatten
from vimogen_jax.sampling import EncodedRequest, MotionModel
from vimogen_jax.train.run import load_run

DENOISER = dict(dim=16, ffn_dim=32, num_heads=2, num_layers=1, freq_dim=8, motion_dim=276)
AUTOENCODER = dict(tokens=2, dim=32, ffn_dim=64, num_heads=2, num_layers=3)
TINY = [
    f"--config.model.text_dim={ENCODER['width']}",
    *(f"--config.model.{name}={value}" for name, value in DENOISER.items()),
    *(f"--config.model.autoencoder.{name}={value}" for name, value in AUTOENCODER.items()),
    "--config.data.batch_size=8",
    "--config.sampler.steps=2",
    "--config.optim.learning_rate=0.003",
    "--config.optim.warmup_steps=2",
]


def finish(runs, folder, page, *flags):
    config = f"--config=configs/{page.__name__.split('.')[1]}.py"
    status, _, err = runs.finish(folder, *flags, config=(config, *TINY))
    assert status == 0, err
    return folder


@pytest.fixture(scope="module")
def autoencoder(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae") / "run"
    return finish(runs, folder, humanml3d_vae, "--config.train.steps=36")


@pytest.fixture(scope="module")
def flow(runs, autoencoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flow") / "run"
    flags = f"--config.init_from={autoencoder}", "--config.train.steps=24"
    return finish(runs, folder, humanml3d_latent, *flags)


def losses(folder, name):
    return [line[name] for _, line in sorted(reported(folder).items()) if name in line]


@pytest.mark.slow
def test_the_autoencoder_learns_to_give_motions_back(autoencoder):
    held_out = losses(autoencoder, "validation_loss")
    assert held_out[-1] < 0.9 * held_out[0]
    assert not (autoencoder / "previews").exists()


@pytest.mark.slow
def test_the_flow_learns_and_leaves_the_autoencoder_alone(autoencoder, flow):
    held_out = losses(flow, "validation_loss_text")
    assert held_out[-1] < held_out[0]
    before, after = (flatten(load_run(folder).params) for folder in (autoencoder, flow))
    for name, value in after.items():
        assert name.startswith("autoencoder.") == np.array_equal(value, before[name]), name
    assert list((flow / "previews").glob("*/*.npz"))


@pytest.fixture
def model(flow):
    package = load_run(flow)
    graphdef, _ = abstract_params(package.model)
    of_sampling = package.objective, package.sampler, package.statistics, package.fps
    return MotionModel(graphdef, jax.device_put(package.params), *of_sampling)


@pytest.mark.slow
def test_what_comes_back_depends_on_the_request_alone(model):
    null = np.zeros((1, ENCODER["width"]), np.float32)
    ask = lambda frames, seed: EncodedRequest(frames, seed=seed, null_text=null)
    short, other, long = model.channels([ask(40, 3), ask(40, 4), ask(57, 3)])
    assert short.shape == (40, 276) and long.shape == (57, 276)
    (alone,) = model.channels([ask(40, 3)])
    np.testing.assert_allclose(short, alone, atol=1e-5)
    assert np.abs(other - short).max() > 1e-3


@pytest.mark.slow
def test_an_autoencoder_alone_makes_no_motions(autoencoder, model):
    alone = dataclasses.replace(model, objective=load_run(autoencoder).objective)
    null = np.zeros((1, ENCODER["width"]), np.float32)
    with pytest.raises(BadInput, match="of an autoencoder alone"):
        alone.channels([EncodedRequest(40, null_text=null)])


@pytest.mark.parametrize(
    "page, changes, fault",
    [
        (humanml3d_latent, dict(finetune=dict(freeze=())), "finetune.freeze must name autoencoder"),
        (humanml3d_vae, dict(model=dict(autoencoder=None)), "model.autoencoder is not set"),
        (humanml3d_vae, dict(model=dict(reference_dim=138)), "reference_dim must be 0 and infill"),
        (humanml3d_vae, dict(model=dict(infill=True)), "reference_dim must be 0 and infill"),
        (humanml3d_vae, dict(objective=dict(learns="gan")), "must be flow or autoencoder"),
    ],
)
def test_what_cannot_be_trained(page, changes, fault):
    with pytest.raises(BadInput, match=fault):
        experiment_of(page, **dict(init_from="") | changes)


@pytest.mark.slow
def test_a_flow_needs_an_autoencoder_of_its_sizes(autoencoder):
    sizes = dict(DENOISER, text_dim=ENCODER["width"], autoencoder=dict(AUTOENCODER, tokens=3))
    with pytest.raises(BadInput, match="config.model.autoencoder is"):
        experiment_of(humanml3d_latent, init_from=str(autoencoder), model=sizes)
