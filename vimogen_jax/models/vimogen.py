"""ViMoGen: the gated diffusion transformer, in the order of the paper (section 4).

Noisy motion and time go in; each block applies self-attention, then cross-attention to EITHER the
text OR the encoded reference motion, then a feed-forward layer; the head predicts.
Self-attention and feed-forward weights are shared by both branches.

By config, and not in the published model: a gate at the head that passes a reference's channels on
where they are to be trusted (a narrow stream cannot carry them), and channels of the motion that
are known, as one more input; and the time up to which to average. All begin neutral.

Every array leads with `[s b ...]`: `s` shards of the batch, the only sharded axis, and `b` samples
in each. The first samples of every shard attend to their text, the rest to their reference, so the
gate is a static slice of an unsharded axis: no branch computes samples of the other and no data
moves between devices.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Float32

from vimogen_jax.errors import BadInput
from vimogen_jax.models.attention import Attention, KeysValues
from vimogen_jax.models.autoencoder import AutoencoderConfig
from vimogen_jax.models.layers import (
    MLP,
    LayerNorm,
    Linear,
    layer_norm,
    linear,
    parameter,
    position_sinusoid,
    stack,
    time_sinusoid,
    zero_linear,
)
from vimogen_jax.models.reference_gate import ReferenceGate
from vimogen_jax.motion.representation import NUM_CHANNELS
from vimogen_jax.sharding import constrain

REMAT_POLICIES = {
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}
COMPUTE_DTYPES = ("bfloat16", "float16", "float32")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes of the model; `reference_dim=0` leaves the reference branch out.

    With `text_rows`, texts are padded with zeros to that many rows which are all seen, as the
    published model was trained (226); with 0, only a text's own tokens are seen.
    `reference_widths` gives the reference branch its gate (`models.reference_gate`), and is what
    that chooses from: the reference smoothed over so many frames, 0 for as it is. `least_trust`, 0
    to 1, is the floor under its trust. The model must predict the sample.
    With `infill` the model takes known channels, with `averages` the time at the end of a step.
    With an `autoencoder`, the transformer is of that one's latents, and `motion_dim` of its frames.
    With a `matching_dim` the network is no denoiser: it is a matcher (`models.matcher`) of motions
    and texts, and that is the width of their space.
    `dtype` is that of matrix products; `grad_dtype` that in which gradients of the weights are
    summed over the batch and over devices, by default the same; `remat` is "none", "full" (keep
    block inputs only) or "dots" (keep the results of weight products too).
    """

    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int
    text_dim: int
    freq_dim: int = 256
    motion_dim: int = 276
    reference_dim: int = 138
    text_rows: int = 0
    reference_widths: Sequence[float] = ()
    least_trust: float = 0.0
    infill: bool = False
    averages: bool = False
    dtype: str = "bfloat16"
    grad_dtype: str | None = None
    remat: str = "none"
    autoencoder: AutoencoderConfig | None = None
    matching_dim: int = 0

    def __post_init__(self):
        for name in ("dim", "ffn_dim", "num_heads", "text_dim", "freq_dim", "motion_dim"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("reference_dim", "text_rows", "matching_dim"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} must be at least 0, not {getattr(self, name)}")
        if self.dim % self.num_heads or self.dim % 2:
            raise BadInput(f"dim {self.dim} must divide by num_heads {self.num_heads}, and by 2")
        if self.freq_dim % 2:
            raise BadInput(f"freq_dim {self.freq_dim} must divide by 2")
        if self.num_layers < (2 if self.reference_dim else 1):
            raise BadInput(
                f"num_layers must be at least 1, and 2 with a reference branch, whose encoder has "
                f"half of them, not {self.num_layers}"
            )
        if any(width < 0 for width in self.reference_widths):
            raise BadInput(f"reference_widths must be at least 0, not {self.reference_widths}")
        if not 0 <= self.least_trust <= 1:
            raise BadInput(f"least_trust must lie in 0 to 1, not {self.least_trust}")
        if self.autoencoder and (self.reference_dim or self.infill):
            raise BadInput(
                "reference_dim must be 0 and infill off beside an autoencoder: its latents have "
                "no channels to follow or to know"
            )
        if self.matching_dim and (self.reference_dim or self.infill or self.autoencoder):
            raise BadInput("a matcher (matching_dim) has no reference_dim, infill or autoencoder")
        if self.matching_dim and self.motion_dim != NUM_CHANNELS:
            raise BadInput(
                f"a matcher (matching_dim) is of frames of {NUM_CHANNELS} channels alone"
            )
        if self.remat not in ("none", *REMAT_POLICIES):
            raise BadInput(f"remat {self.remat!r} is not none, {', '.join(REMAT_POLICIES)}")
        for name in ("dtype", "grad_dtype"):
            if (value := getattr(self, name)) is not None and value not in COMPUTE_DTYPES:
                raise BadInput(f"{name} {value!r} is not one of {', '.join(COMPUTE_DTYPES)}")

    @property
    def gated(self) -> bool:
        """Whether there is a reference branch, and it has a gate."""
        return bool(self.reference_dim and self.reference_widths)


class Text(NamedTuple):
    """Text features, and a mask that is true where a token may be seen."""

    tokens: Float[Array, "s bt l k"]
    mask: Bool[Array, "s bt l"]


class TextCache(NamedTuple):
    """The text's keys and values in every block, led by an axis of blocks."""

    keys_values: KeysValues
    mask: Bool[Array, "s bt l"]


class Reference(NamedTuple):
    """Reference motion, as long as the motion."""

    motion: Float[Array, "s br t 138"]
    mask: Bool[Array, "s br t"]


class Known(NamedTuple):
    """Channels of the clean motion that are given, where the mask is true."""

    motion: Float[Array, "s b t c"]
    mask: Bool[Array, "s b t c"]


class Context(NamedTuple):
    """What one block's cross-attention sees of one branch: its samples' context and mask."""

    keys_values: KeysValues
    mask: Bool[Array, "s b l"]


class Block(nnx.Module):
    """Self-attention, gated cross-attention and feed-forward, modulated by the time.

    A block of the reference encoder has no cross-attention.
    """

    def __init__(
        self, config: ModelConfig, *, text: bool = False, reference: bool = False, rngs: nnx.Rngs
    ):
        dim, dtype = config.dim, jnp.dtype(config.dtype)
        attention = lambda: Attention(dim, config.num_heads, dtype=dtype, rngs=rngs)
        self.modulation = modulation_table(6, dim, rngs)
        self.self_attention = attention()
        if text:
            self.text_norm = LayerNorm(dim, rngs=rngs)
            self.text_attention = attention()
        if reference:
            self.reference_norm = LayerNorm(dim, rngs=rngs)
            self.reference_attention = attention()
        self.ffn = MLP(
            (dim, config.ffn_dim, dim), ("embed", "mlp", "embed"), dtype=dtype, rngs=rngs
        )
        self.dtype = dtype

    def __call__(
        self,
        x: Float[Array, "s b t d"],
        mask: Bool[Array, "s b t"],
        time: Float[Array, "s b 6 d"],
        text: Context | None = None,
        reference: Context | None = None,
    ) -> Float[Array, "s b t d"]:
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = jnp.moveaxis(
            self.modulation[...] + time, 2, 0
        )[..., None, :]

        h = (layer_norm(x) * (1 + scale) + shift).astype(self.dtype)
        h = self.self_attention(h, self.self_attention.keys_values(h), mask)
        x = constrain((x + h * gate).astype(self.dtype), "shards", None, None, None)

        if text is not None or reference is not None:
            x = x + self._cross_attention(x, text, reference)

        h = (layer_norm(x) * (1 + ffn_scale) + ffn_shift).astype(self.dtype)
        x = (x + self.ffn(h) * ffn_gate).astype(self.dtype)
        return constrain(x, "shards", None, None, None)

    def _cross_attention(
        self, x: jax.Array, text: Context | None, reference: Context | None
    ) -> jax.Array:
        """The gate: the first samples attend to their text, the others to their reference."""
        texts = 0 if text is None else text.mask.shape[1]
        branches = []
        if text is not None:
            h = self.text_norm(x[:, :texts]).astype(self.dtype)
            branches.append(self.text_attention(h, *text))
        if reference is not None:
            h = self.reference_norm(x[:, texts:]).astype(self.dtype)
            branches.append(self.reference_attention(h, *reference))
        return jnp.concatenate(branches, axis=1)


class Head(nnx.Module):
    """Modulated LayerNorm and a linear map to the motion channels, in float32."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.modulation = modulation_table(2, config.dim, rngs)
        self.linear = linear(
            config.dim, config.motion_dim, ("embed", "motion"), jnp.dtype(config.dtype), rngs
        )

    def __call__(
        self, x: Float[Array, "s b t d"], time: Float[Array, "s b d"]
    ) -> Float32[Array, "s b t c"]:
        shift, scale = jnp.moveaxis(self.modulation[...] + time[:, :, None], 2, 0)[..., None, :]
        return self.linear(layer_norm(x) * (1 + scale) + shift).astype(jnp.float32)


class ViMoGen(nnx.Module):
    """The whole network: what it predicts, velocity or clean motion, is the objective's matter."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        dim, dtype = config.dim, jnp.dtype(config.dtype)
        self.config = config
        self.motion_embedding = linear(config.motion_dim, dim, ("motion", "embed"), dtype, rngs)
        self.text_embedding = MLP(
            (config.text_dim, dim, dim), ("text", "heads", "embed"), dtype=dtype, rngs=rngs
        )
        self.time_embedding = MLP(
            (config.freq_dim, dim, dim),
            ("frequency", "heads", "embed"),
            activation=nnx.silu,
            dtype=dtype,
            rngs=rngs,
        )
        self.time_projection = linear(dim, 6 * dim, ("embed", "modulation"), dtype, rngs)
        has_reference = config.reference_dim > 0
        if has_reference:
            self.reference_embedding = linear(
                config.reference_dim, dim, ("reference", "embed"), dtype, rngs
            )
            self.reference_encoder = stack(
                lambda key: Block(config, rngs=key), config.num_layers // 2, rngs
            )
        self.blocks = stack(
            lambda key: Block(config, text=True, reference=has_reference, rngs=key),
            config.num_layers,
            rngs,
        )
        self.head = Head(config, rngs=rngs)
        if config.gated:
            self.reference_input = zero_linear(dim, dim, ("heads", "embed"), dtype, rngs)
            self.reference_gate = ReferenceGate(
                dim, config.reference_dim, config.reference_widths, config.least_trust, rngs=rngs
            )
        if config.infill:
            self.known_input = zero_linear(
                2 * config.motion_dim, dim, ("motion", "embed"), dtype, rngs
            )
        if config.averages:
            self.span_input = zero_linear(config.freq_dim, dim, ("frequency", "embed"), dtype, rngs)
        for _, module in nnx.iter_modules(self):
            if isinstance(module, Linear):
                module.grad_dtype = config.grad_dtype

    def cache_text(self, text: Text) -> TextCache:
        """Project the text for every block once, so that a sampler need not at every step."""
        text = self._as_seen(text)
        embedded = self.text_embedding(text.tokens)
        project = lambda block: block.text_attention.keys_values(embedded)
        return TextCache(jax.vmap(project)(self.blocks), text.mask)

    def __call__(
        self,
        x: Float[Array, "s b t c"],
        timestep: Float[Array, "s b"],
        mask: Bool[Array, "s b t"],
        text: Text | TextCache | None = None,
        reference: Reference | None = None,
        known: Known | None = None,
        end: Float[Array, "s b"] | None = None,
    ) -> Float32[Array, "s b t c"]:
        """Predict from a noisy motion.

        Args:
            x: normalised noisy motion.
            timestep: diffusion time, 1000 is noise and 0 is clean.
            mask: true at real frames.
            text: of the first bt samples of each shard, or None where there are none.
            reference: of the other br samples; bt + br = b.
            known: channels that are given, by a model with `infill`; None is as if none were.
            end: the earlier time up to which the prediction is an average, by a model with
                `averages`; others leave it unread, and None is as the same time.

        Returns:
            The prediction.

        Raises:
            ValueError: the two parts do not add up to the batch.
        """
        parts = sum(part.mask.shape[1] for part in (text, reference) if part is not None)
        if parts != x.shape[1]:
            raise ValueError(f"{parts} samples have text or reference, the batch has {x.shape[1]}")

        x = self._embed(self.motion_embedding, x)
        embedding = self.time_embedding(time_sinusoid(timestep, self.config.freq_dim))
        if self.config.averages:
            span = jnp.zeros_like(timestep) if end is None else timestep - end
            embedding += self.span_input(time_sinusoid(span, self.config.freq_dim))
        embedding = constrain(embedding, "shards", None, None)
        time = self.time_projection(nnx.silu(embedding)).astype(jnp.float32)
        time = time.reshape(*timestep.shape, 6, self.config.dim)

        cache, embedded = None, None
        if isinstance(text, TextCache):
            cache = text.keys_values
        elif text is not None:
            text = self._as_seen(text)
            embedded = self.text_embedding(text.tokens)
        if self.config.infill:
            x += self._of_known(known)
        encoded = None
        texts = x.shape[1]
        if reference is not None:
            texts -= reference.mask.shape[1]
            encoded = self._encode_reference(reference, mask[:, texts:], time[:, texts:])
            if self.config.gated:
                seen = jnp.where(reference.mask[..., None], self.reference_input(encoded), 0)
                x = jnp.concatenate([x[:, :texts], x[:, texts:] + seen], axis=1)

        def block_body(x, layer):
            block, keys_values = layer
            text_context, reference_context = None, None
            if text is not None:
                if keys_values is None:
                    keys_values = block.text_attention.keys_values(embedded)
                text_context = Context(keys_values, text.mask)
            if reference is not None:
                keys_values = block.reference_attention.keys_values(encoded)
                reference_context = Context(keys_values, reference.mask)
            return block(x, mask, time, text_context, reference_context), None

        x, _ = jax.lax.scan(self._remat(block_body), x, (self.blocks, cache))
        out = self.head(x, embedding.astype(jnp.float32))
        if reference is None or not self.config.gated:
            return out
        gated = self.reference_gate(out[:, texts:], x[:, texts:], reference.motion, reference.mask)
        return jnp.concatenate([out[:, :texts], gated], axis=1)

    def _of_known(self, known: Known | None) -> jax.Array:
        """What the known channels add to the embedded motion."""
        if known is None:
            return self.known_input(jnp.zeros((1, 1, 1, 2 * self.config.motion_dim)))
        given = jnp.where(known.mask, known.motion, 0.0)
        return self.known_input(jnp.concatenate([given, known.mask.astype(given.dtype)], -1))

    def _as_seen(self, text: Text) -> Text:
        """The text with the padding that the model sees, see `ModelConfig.text_rows`.

        Rows beyond those are cut off: padding of a batch, as long as its encoder reads no more.
        """
        rows = self.config.text_rows
        if not rows:
            return text
        tokens = jnp.where(text.mask[..., None], text.tokens, 0)[:, :, :rows]
        tokens = jnp.pad(tokens, ((0, 0), (0, 0), (0, rows - tokens.shape[2]), (0, 0)))
        return Text(tokens, jnp.ones(tokens.shape[:3], bool))

    def _encode_reference(
        self, reference: Reference, mask: jax.Array, time: jax.Array
    ) -> jax.Array:
        """Encode the reference `[s br t 138] -> [s br t d]`; every real frame may look around."""
        body = lambda x, block: (block(x, mask, time), None)
        x = self._embed(self.reference_embedding, reference.motion)
        return jax.lax.scan(self._remat(body), x, self.reference_encoder)[0]

    def _embed(self, embedding: nnx.Linear, x: jax.Array) -> jax.Array:
        positions = position_sinusoid(x.shape[2], self.config.dim)
        x = embedding(x)
        return constrain(x + jnp.asarray(positions, x.dtype), "shards", None, None, None)

    def _remat(self, body):
        if self.config.remat == "none":
            return body
        return jax.checkpoint(body, policy=REMAT_POLICIES[self.config.remat], prevent_cse=False)


def modulation_table(rows: int, dim: int, rngs: nnx.Rngs) -> nnx.Param:
    """Learnt offsets `[rows d]` to the time's shifts, scales and gates."""
    return parameter(nnx.initializers.normal(dim**-0.5), (None, "embed"), (rows, dim), rngs)
