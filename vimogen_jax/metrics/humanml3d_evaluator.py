"""HumanML3D's evaluator: texts and motions in one space, in which they lie near if they match.

Guo et al., CVPR 2022. Sums are float32, at the highest precision, and nothing is dropped out.
`convert.humanml3d_evaluator` reads its published weights.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from vimogen_jax.motion.humanml3d import CONTACTS

MAX_FRAMES = 196
FRAMES_A_STEP = 4  # of the movement encoder
WORD_DIM, NUM_TAGS = 300, 15
_SLOPE = 0.2  # of the leaky rectifiers, where it leaks


@dataclasses.dataclass(frozen=True)
class EvaluatorSizes:
    """Widths of the networks; the defaults are those published, 21.7 million parameters."""

    movement_hidden: int = 512
    movement: int = 512
    motion_hidden: int = 1024
    text_hidden: int = 512
    embedding: int = 512


class Evaluator(nnx.Module):
    """The three networks, as they were trained together."""

    def __init__(self, sizes: EvaluatorSizes | None = None, *, rngs: nnx.Rngs):
        sizes = sizes or EvaluatorSizes()
        self.movement_encoder = MovementEncoder(sizes, rngs=rngs)
        self.motion_encoder = SequenceEncoder(
            sizes.movement, sizes.motion_hidden, sizes.embedding, rngs=rngs
        )
        self.tags = _linear(NUM_TAGS, WORD_DIM, rngs)
        self.text_encoder = SequenceEncoder(WORD_DIM, sizes.text_hidden, sizes.embedding, rngs=rngs)

    def embed_motions(
        self, motions: Float[Array, "b t 263"], lengths: Int[Array, " b"]
    ) -> Float[Array, "b d"]:
        """Embeddings of motions, normalised as the evaluator's statistics say and zero after their
        lengths, in frames."""
        return self.motion_encoder(self.movement_encoder(motions), lengths // FRAMES_A_STEP)

    def embed_texts(
        self, words: Float[Array, "b l 300"], tags: Int[Array, "b l"], lengths: Int[Array, " b"]
    ) -> Float[Array, "b d"]:
        """Embeddings of words' vectors and tags, below 15; lengths are in words."""
        return self.text_encoder(words + self.tags(jax.nn.one_hot(tags, NUM_TAGS)), lengths)


class MovementEncoder(nnx.Module):
    """Features `[b t 263]` to movements `[b t/4 d]`; contacts are not looked at."""

    def __init__(self, sizes: EvaluatorSizes, *, rngs: nnx.Rngs):
        self.down = nnx.List(
            nnx.Conv(
                inputs,
                outputs,
                kernel_size=4,
                strides=2,
                padding=1,
                precision="highest",
                rngs=rngs,
            )
            for inputs, outputs in (
                (CONTACTS.start, sizes.movement_hidden),
                (sizes.movement_hidden, sizes.movement),
            )
        )
        self.out = _linear(sizes.movement, sizes.movement, rngs)

    def __call__(self, features: Float[Array, "b t 263"]) -> Float[Array, "b n d"]:
        x = features[..., : CONTACTS.start]
        for conv in self.down:
            x = jax.nn.leaky_relu(conv(x), _SLOPE)
        return self.out(x)


class SequenceEncoder(nnx.Module):
    """A sequence `[b t c]` of lengths `[b]` to what it comes to, `[b d]`."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, rngs: nnx.Rngs):
        self.inputs = _linear(inputs, hidden, rngs)
        self.start = nnx.Param(jax.random.normal(rngs.params(), (2, 1, hidden)))
        self.forward, self.backward = GRUCell(hidden, rngs=rngs), GRUCell(hidden, rngs=rngs)
        self.between = _linear(2 * hidden, hidden, rngs)
        self.norm = nnx.LayerNorm(hidden, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.outputs = _linear(hidden, outputs, rngs)

    def __call__(self, x: Float[Array, "b n i"], lengths: Int[Array, " b"]) -> Float[Array, "b d"]:
        x = self.inputs(x)
        mask = jnp.arange(x.shape[1]) < lengths[:, None]
        forward = _last_state(self.forward, self.start[0], x, mask)
        backward = _last_state(self.backward, self.start[1], x[:, ::-1], mask[:, ::-1])
        x = self.norm(self.between(jnp.concatenate([forward, backward], axis=-1)))
        return self.outputs(jax.nn.leaky_relu(x, _SLOPE))


class GRUCell(nnx.Module):
    """One step of PyTorch's GRU: gates r, z, n, of which n takes its part of the state by r."""

    def __init__(self, hidden: int, *, rngs: nnx.Rngs):
        self.of_input = _linear(hidden, 3 * hidden, rngs)
        self.of_state = _linear(hidden, 3 * hidden, rngs)

    def __call__(
        self, state: Float[Array, "b d"], from_input: Float[Array, "b 3*d"]
    ) -> Float[Array, "b d"]:
        """The next state from this one and from `of_input` of an input."""
        input_r, input_z, input_n = jnp.split(from_input, 3, axis=-1)
        state_r, state_z, state_n = jnp.split(self.of_state(state), 3, axis=-1)
        reset, keep = jax.nn.sigmoid(input_r + state_r), jax.nn.sigmoid(input_z + state_z)
        return (1 - keep) * jnp.tanh(input_n + reset * state_n) + keep * state


def _last_state(cell: GRUCell, start: jax.Array, x: jax.Array, mask: jax.Array) -> jax.Array:
    """The state `[b n]` after the steps of x `[b t n]` that are real, from start `[1 n]`."""

    def step(state: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        from_input, real = inputs
        return jnp.where(real[:, None], cell(state, from_input), state), None

    first = jnp.broadcast_to(start, (x.shape[0], x.shape[2]))
    steps = jnp.moveaxis(cell.of_input(x), 1, 0), jnp.moveaxis(mask, 1, 0)
    return jax.lax.scan(step, first, steps)[0]


def _linear(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(inputs, outputs, precision="highest", rngs=rngs)
