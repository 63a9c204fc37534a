"""Low-rank adapters: what a linear map learns while its weights stay as they are.

`x W` becomes `x W + (x A) B alpha / rank` (Hu et al., "LoRA: Low-Rank Adaptation of Large Language
Models", 2021). A starts random and B at zero, so that an adapted model begins as the plain one.
Nothing of the size of W is computed.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util
from jaxtyping import Array, Float

from vimogen_jax.errors import BadInput
from vimogen_jax.models.layers import Linear, parameter, product

ADAPTER = "adapter"  # the attribute of a linear map, and so a part of its parameters' paths

Model = TypeVar("Model", bound=nnx.Module)


@dataclasses.dataclass(frozen=True)
class LoRAConfig:
    """Which linear maps get an adapter, and of what size.

    Attributes:
        rank: the inner size.
        alpha: the adapter's part is multiplied by alpha / rank.
        targets: a part of the path of each map, see `is_part`.
    """

    rank: int
    alpha: float
    targets: Sequence[str]

    def __post_init__(self):
        if self.rank < 1:
            raise BadInput(f"rank must be at least 1, not {self.rank}")
        if not math.isfinite(self.alpha):
            raise BadInput(f"alpha must be finite, not {self.alpha}")


class LowRankUpdate(nnx.Module):
    """What is added to a linear map, `[... in] -> [... out]`, for one kernel or a stack of them."""

    def __init__(self, kernel: nnx.Param, rank: int, scale: float, *, rngs: nnx.Rngs):
        *stack, inputs, outputs = kernel.shape
        *stack_names, input_name, output_name = kernel.get_metadata()["out_sharding"]
        self.a = parameter(
            nnx.initializers.normal(inputs**-0.5),
            (*stack_names, input_name, None),
            (*stack, inputs, rank),
            rngs,
        )
        self.b = parameter(
            nnx.initializers.zeros, (*stack_names, None, output_name), (*stack, rank, outputs), rngs
        )
        self.scale = scale

    def __call__(
        self, x: Float[Array, "*n i"], dtype: jnp.dtype, grad_dtype: str | None
    ) -> Float[Array, "*n o"]:
        """Products run in `dtype`, and gradients are summed, as those of the map itself."""
        x = x.astype(dtype)
        if grad_dtype is None:
            return x @ self.a[...].astype(dtype) @ self.b[...].astype(dtype) * self.scale
        y: Any = product(product(x, self.a[...], grad_dtype), self.b[...], grad_dtype)
        return y * self.scale


def is_part(name: str, path: Sequence[str]) -> bool:
    """Whether a name such as "ffn" or "blocks.text_attention" is a part of a path in the model."""
    return f".{name}." in f".{'.'.join(path)}."


def adapted(model: Model, lora: LoRAConfig | None, rngs: nnx.Rngs) -> Model:
    """The model, with adapters at the targets.

    Raises:
        BadInput: there are no targets, or one is not of any linear map.
    """
    if lora is None:
        return model
    linears = {
        tuple(map(str, path)): module
        for path, module in nnx.iter_modules(model)
        if isinstance(module, Linear)
    }
    if not lora.targets:
        raise BadInput("LoRA needs targets, such as self_attention or text_attention")
    for name in lora.targets:
        if not any(is_part(name, path) for path in linears):
            raise BadInput(f"the LoRA target {name!r} is not a part of any linear map's path")
    for path in sorted(linears):
        if any(is_part(name, path) for name in lora.targets):
            linear = linears[path]
            linear.adapter = LowRankUpdate(
                linear.kernel, lora.rank, lora.alpha / lora.rank, rngs=rngs
            )
    return model


def merged(
    params: Mapping[str, Any], adapters: Mapping[str, Any], lora: LoRAConfig
) -> dict[str, Any]:
    """The parameters of the plain model that computes what the adapted one does, in float32."""
    plain: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(params)
    factors: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(adapters)
    for *linear, adapter, factor in factors:
        if factor == "a":
            a, b = (np.asarray(factors[(*linear, adapter, name)]) for name in ("a", "b"))
            kernel = (*linear, "kernel")
            plain[kernel] = np.asarray(plain[kernel]) + a @ b * np.float32(lora.alpha / lora.rank)
    return traverse_util.unflatten_dict(plain)
