"""UMT5 in PyTorch, on top of transformers: the same features as the encoder in JAX."""

from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax.convert.files import to_torch
from vimogen_jax.convert.umt5 import open_umt5
from vimogen_jax.errors import BadInput
from vimogen_jax.text.batches import Forward
from vimogen_jax.text.umt5 import UMT5Encoder
from vimogen_jax.text.umt5_files import huggingface_config

_ROWS = (1, 2, 4, 8, 16, 32, 64)


def load_umt5(path: str | Path, dtype: str = "bfloat16") -> UMT5Encoder:
    """The encoder on the GPU, or on the CPU where PyTorch sees none, in `dtype`.

    path: Wan's .pth, or a folder of Hugging Face's safetensors; see `open_umt5`.

    Raises:
        BadInput: the weights are not as `open_umt5` takes them, or PyTorch is not installed.
    """
    config, arrays, tokenizer = open_umt5(path)
    try:
        import torch  # pyright: ignore[reportMissingImports]
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError as fault:
        raise BadInput(
            f"encoding with PyTorch needs {fault.name}, which is not installed: "
            'pip install "vimogen_jax[torch]", or encode in JAX'
        ) from None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.device("meta"):
        model = transformers.UMT5EncoderModel(transformers.UMT5Config(**huggingface_config(config)))
    weights = {
        name: to_torch(torch, array).to(device, getattr(torch, dtype))
        for name, array in arrays.items()
    }
    weights["encoder.embed_tokens.weight"] = weights["shared.weight"]
    model.load_state_dict(weights, assign=True)
    return UMT5Encoder(config, tokenizer, _forward(torch, model.eval(), device), _ROWS)


def _forward(torch: Any, model: Any, device: Any) -> Forward:
    """The network as a function of ids and mask `[b l]` that gives features `[b l k]`."""

    def forward(tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
        ids, seen = (torch.from_numpy(x).to(device, torch.int64) for x in (tokens, mask))
        with torch.inference_mode():
            hidden = model(input_ids=ids, attention_mask=seen).last_hidden_state
        return hidden.float().cpu().numpy()

    return forward
