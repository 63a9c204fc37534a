"""Wan's three published pipelines, tiny and of random weights, make films through the adapter."""

import dataclasses
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from data.adapters.t2v.model import Scene
from data.adapters.t2v.wan import SHAPES, Wan
from vimogen_jax.mocap.film import frames, open_film

torch = pytest.importorskip("torch", reason="Wan needs torch")
diffusers = pytest.importorskip("diffusers", reason="Wan needs diffusers")
transformers = pytest.importorskip("transformers", reason="Wan needs transformers")

pytestmark = pytest.mark.parity

SCENES = [
    Scene(str(seed), f"Full-body shot. A person waves {seed} times.", "", 0.5, seed)
    for seed in (1, 2)
]


def tiny(shape, folder):
    """A pipeline of a published kind, as it is saved."""
    torch.manual_seed(0)
    channels, scale = (48, 2) if shape.expands else (16, 1)
    network = dict(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=channels,
        out_channels=channels,
        text_dim=32,
        freq_dim=64,
        ffn_dim=32,
        num_layers=1,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    vae = dict(base_dim=4, z_dim=channels, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    vae |= dict(latents_mean=[0.0] * channels, latents_std=[1.0] * channels)
    if scale == 2:
        vae |= dict(is_residual=True, patch_size=2, in_channels=12, out_channels=12)
        vae |= dict(decoder_base_dim=4, scale_factor_spatial=16)
    letters = {letter: i for i, letter in enumerate(["<pad>", "</s>", *map(chr, range(32, 127))])}
    words = Tokenizer(models.BPE(vocab=letters, merges=[]))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    encoder = transformers.UMT5Config(
        vocab_size=len(letters), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    make = lambda: diffusers.WanTransformer3DModel(**network)
    pipeline = diffusers.WanPipeline(
        tokenizer=transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="</s>"
        ),
        text_encoder=transformers.UMT5EncoderModel(encoder),
        vae=diffusers.AutoencoderKLWan(**vae),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=make(),
        transformer_2=make() if shape.two_experts else None,
        boundary_ratio=0.875 if shape.two_experts else None,
        expand_timesteps=shape.expands,
    )
    pipeline.save_pretrained(folder)


@pytest.mark.parametrize("name", ["2.1-1.3b", "2.2-a14b", "2.2-5b"])
def test_films_of_each_shape(name, monkeypatch, tmp_path):
    small = dataclasses.replace(SHAPES[name], width=32, height=32, frames=9, steps=2)
    monkeypatch.setitem(SHAPES, name, small)
    tiny(small, tmp_path / "wan")
    wan = Wan(f"{name}={tmp_path / 'wan'}")
    folders = [tmp_path / place for place in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    made = [*wan(SCENES, folders[:2]), *wan(SCENES[1:], folders[2:])]
    first, second, again = (film for film in made if isinstance(film, Path))
    film = open_film(first)
    assert (film.width, film.height, film.fps) == (32, 32, small.fps)
    assert len(list(frames(film))) == 9
    assert again.read_bytes() == second.read_bytes() != first.read_bytes()
