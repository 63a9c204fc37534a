"""What of a model is trained: all of it, all but what is frozen, or adapters alone."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from vimogen_jax.errors import BadInput
from vimogen_jax.models.lora import ADAPTER, LoRAConfig, is_part


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """By default everything is trained.

    Attributes:
        lora_rank: with one, low-rank adapters are trained and every weight of the base is frozen.
        lora_alpha: the adapters' part is multiplied by lora_alpha / lora_rank.
        lora_targets: linear maps that get an adapter, by a part of their path in the model, such
            as "text_attention" or "blocks.ffn.up".
        freeze: parameters that stay as they are, named in the same way.
    """

    lora_rank: int = 0
    lora_alpha: float = 1.0
    lora_targets: Sequence[str] = ()
    freeze: Sequence[str] = ()

    def __post_init__(self):
        if self.lora_rank < 0:
            raise BadInput(f"config.finetune.lora_rank must be at least 0, not {self.lora_rank}")
        if self.lora_rank and self.freeze:
            raise BadInput("config.finetune.freeze has no place beside lora_rank: all is frozen")

    @property
    def lora(self) -> LoRAConfig | None:
        """The adapters, where they are what is trained."""
        if not self.lora_rank:
            return None
        return LoRAConfig(self.lora_rank, self.lora_alpha, tuple(self.lora_targets))

    @property
    def needs_base(self) -> bool:
        """Whether part of the weights is not trained, and so must come from somewhere."""
        return bool(self.lora_rank or self.freeze)

    def check(self, frozen: Collection[Sequence[str]]) -> None:
        """Raise BadInput where a name to freeze is of none of the `frozen` paths."""
        for name in self.freeze:
            if not any(is_part(name, path) for path in frozen):
                raise BadInput(f"config.finetune.freeze names {name!r}, which is in no path")

    def trains(self, path: Sequence[Any], _: object = None) -> bool:
        """Whether the parameter at a path is trained; also a filter as `nnx.state` takes it."""
        if self.lora_rank:
            return ADAPTER in path
        return not any(is_part(name, path) for name in self.freeze)
