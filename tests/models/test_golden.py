"""The gated transformer against the published implementation, in float32."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.helpers.published import published_model
from vimogen_jax.convert.published import to_published
from vimogen_jax.diffusion.flow import Objective, shifted_grid
from vimogen_jax.diffusion.loss import flow_matching_loss
from vimogen_jax.models.attention_kernels import xla
from vimogen_jax.models.vimogen import Reference, Text

ATOL = 2e-5


@pytest.fixture(scope="module")
def tm2m(golden_file):
    return published_model(golden_file, "tm2m")


def gate(order, texts):
    """Bring samples in the order that our batches have, text first, and give them a shard axis."""
    return lambda array: jnp.asarray(np.asarray(array)[order])[None]


CASES = {
    "mix101": (1, 0, 1),
    "text_all": (1, 1, 1),
    "ref_all": (0, 0, 0),
    "ref_zero_ref": (0, 0, 0),
    "shared_t_mix010": (0, 1, 0),
    "no_xmask_mix101": (1, 0, 1),
    "ref_holes_all": (0, 0, 0),
    "null_ctx_text": (1, 1, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_forward_agrees_with_the_published_model(tm2m, golden, case):
    graphdef, params = tm2m
    inputs, expected = golden("tm2m_inputs"), golden("tm2m_outputs")[case]
    to_text = np.array(CASES[case])
    order = np.argsort(-to_text, kind="stable")
    texts = int(to_text.sum())
    take = gate(order, texts)

    timestep = np.broadcast_to(
        inputs["timestep_shared" if case.startswith("shared_t") else "timestep"], (3,)
    )
    mask = np.ones((3, 24)) if case.startswith("no_xmask") else inputs["x_mask"]
    context = inputs["context_null_like" if case == "null_ctx_text" else "context"]
    motion = inputs["ref_motion"] * (case != "ref_zero_ref")
    reference_mask = inputs[
        "ref_motion_mask_holes" if case == "ref_holes_all" else "ref_motion_mask"
    ]
    # The release takes the mask's count as a prefix; ours is a mask proper.
    prefix = np.arange(24) < reference_mask.sum(1, keepdims=True)

    output = jax.jit(lambda p, *a: nnx.merge(graphdef, p)(*a))(
        params,
        take(inputs["x"]),
        take(timestep),
        take(mask > 0),
        Text(take(context)[:, :texts], jnp.ones((1, texts, 16), bool)) if texts else None,
        Reference(take(motion)[:, texts:], take(prefix)[:, texts:]) if texts < 3 else None,
    )[0]
    np.testing.assert_allclose(-output, expected[order], atol=ATOL)


def test_forward_of_the_smallest_model_agrees(golden, golden_file):
    """One sample attends to its text, one to its reference; all that they take is shipped."""
    graphdef, params = published_model(golden_file, "tm2m_micro", "full_state")
    arrays = golden("tm2m_micro_io")
    order = np.argsort(-arrays["attend_to_text_mask"], kind="stable")
    take = gate(order, 1)
    text = Text(take(arrays["context"])[:, :1], jnp.ones((1, 1, 9), bool))
    reference = Reference(
        take(arrays["ref_motion"])[:, 1:], take(arrays["ref_motion_mask"])[:, 1:] > 0
    )
    output = jax.jit(lambda p, *a: nnx.merge(graphdef, p)(*a))(
        params,
        take(arrays["x"]),
        take(arrays["timestep"]),
        take(arrays["x_mask"]) > 0,
        text,
        reference,
    )
    np.testing.assert_allclose(-output[0], arrays["out"][order], atol=ATOL)


def test_text_only_model_agrees_with_the_published_one(golden, golden_file):
    graphdef, params = published_model(golden_file, "t2m")
    arrays = golden("t2m_io")
    run = jax.jit(lambda p, *a: nnx.merge(graphdef, p)(*a)[0])
    text = Text(arrays["context"][None], jnp.ones((1, 2, 16), bool))
    for name, timestep, mask in (
        ("out_masked", arrays["timestep"], arrays["x_mask"]),
        ("out_nomask", arrays["timestep"], np.ones((2, 24))),
        ("out_shared_t", np.repeat(arrays["timestep_shared"], 2), arrays["x_mask"]),
    ):
        output = run(params, arrays["x"][None], timestep[None], mask[None] > 0, text)
        np.testing.assert_allclose(-output, arrays[name], atol=ATOL, err_msg=name)


def test_padding_is_seen_where_the_model_has_text_rows(golden, golden_file):
    """Ragged texts give what zero-padded, unmasked ones do, whatever stands in their padding."""
    graphdef, params = published_model(golden_file, "tm2m", text_rows=16)
    inputs, expected = golden("tm2m_inputs"), golden("tm2m_outputs")
    run = jax.jit(
        lambda p, *a, cached=False: (m := nnx.merge(graphdef, p))(
            *a[:-1], m.cache_text(a[-1]) if cached else a[-1]
        )[0],
        static_argnames="cached",
    )
    arguments = inputs["x"][None], inputs["timestep"][None], inputs["x_mask"][None] > 0
    for case, context, longest in (
        ("text_all", inputs["context"], 32),
        ("null_ctx_text", inputs["context_null_like"], 3),
    ):
        real = np.abs(context).sum(-1) > 0
        tokens = np.full((3, longest, 48), 1e3, np.float32)
        mask = np.zeros((3, longest), bool)
        kept = min(longest, 16)
        mask[:, :kept] = real[:, :kept]
        tokens[:, :kept] = np.where(real[:, :kept, None], context[:, :kept], 1e3)
        for cached in (False, True):
            output = run(params, *arguments, Text(tokens[None], mask[None]), cached=cached)
            np.testing.assert_allclose(-output, expected[case], atol=ATOL, err_msg=case)


def test_cached_text_gives_the_same_output(tm2m, golden):
    graphdef, params = tm2m
    inputs = golden("tm2m_inputs")
    model = nnx.merge(graphdef, params)
    seen = jnp.arange(16)[None, None] < jnp.array([[[16], [3], [9]]])
    text = Text(jnp.asarray(inputs["context"])[None], seen)
    x, timestep, mask = (jnp.asarray(inputs[name])[None] for name in ("x", "timestep", "x_mask"))
    arguments = x, timestep, mask > 0
    np.testing.assert_allclose(
        model(*arguments, model.cache_text(text)), model(*arguments, text), atol=1e-5
    )


def test_attention_masks_keys(golden):
    arrays = golden("attention")
    q, k, v = (jnp.asarray(arrays[name])[None] for name in "qkv")
    out = xla(q, k, v, jnp.arange(k.shape[2]) < arrays["k_lens"][None, :, None])
    np.testing.assert_allclose(out[0], arrays["out"], atol=1e-6)


@pytest.fixture(scope="module")
def training(tm2m, golden):
    """Losses and gradients of the golden training batch, text samples brought to the front."""
    graphdef, params = tm2m
    arrays = golden("train_loss")
    order = np.argsort(~arrays["attend_to_text_mask"], kind="stable")
    take = gate(order, 2)
    timestep = (1000 * shifted_grid(1000)).astype(np.float32)[arrays["timestep_ids"]]

    def loss_fn(params):
        model = nnx.merge(graphdef, params)
        mask = take(arrays["motion_mask"])
        text = Text(take(arrays["prompt_emb"])[:, :2], jnp.ones((1, 2, 16), bool))
        reference = Reference(
            take(arrays["ref_motion"])[:, 2:], take(arrays["ref_motion_mask"])[:, 2:]
        )
        return flow_matching_loss(
            lambda x, timestep: model(x, timestep, mask, text, reference),
            Objective(),
            take(arrays["motion"]),
            take(arrays["noise"]),
            take(timestep),
            mask,
            take(arrays["motion_dim_mask"]),
            text_samples=2,
        )

    return jax.jit(jax.value_and_grad(loss_fn, has_aux=True))(params)


def test_losses_agree(training, golden_file):
    (loss, branches), _ = training
    expected = json.loads(golden_file("train.json").read_text())["main"]
    np.testing.assert_allclose(loss, expected["loss"], rtol=1e-5)
    np.testing.assert_allclose(branches["loss_text"], expected["loss_text"], rtol=1e-5)
    np.testing.assert_allclose(branches["loss_reference"], expected["loss_ref_motion"], rtol=1e-5)


def test_gradients_agree(training, golden, golden_file):
    _, gradients = training
    expected = json.loads(golden_file("train.json").read_text())["main"]
    published = {
        key.removeprefix("grad::"): array
        for key, array in golden("train_loss").items()
        if key.startswith("grad::")
    }
    flat = {
        ".".join(str(k.key) for k in path): np.asarray(g)
        for path, g in jax.tree_util.tree_leaves_with_path(gradients)
    }
    ours = to_published(flat)
    for key, norm in expected["grad_l2"].items():
        np.testing.assert_allclose(np.linalg.norm(ours[key]), norm, rtol=1e-4, err_msg=key)
    for key, array in published.items():
        error = np.linalg.norm(ours[key] - array) / np.linalg.norm(array)
        assert error < 1e-4, f"{key}: relative error {error}"
