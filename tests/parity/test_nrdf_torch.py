"""NRDF's checkpoint as PyTorch saves it, with its optimiser, is read without PyTorch."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from vimogen_jax.convert.nrdf import load_nrdf

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch")


def test_a_checkpoint_of_pytorch(tmp_path, golden_file):
    arrays = load_file(golden_file("nrdf_params.safetensors"))
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "model_state_dict": {key: torch.tensor(array) for key, array in arrays.items()},
        "optimizer_state_dict": optimizer.state_dict(),
    }
    torch.save(checkpoint, path := tmp_path / "checkpoint_epoch_best.tar")
    kernel = load_nrdf(path).distance.linears[0].kernel[...]
    np.testing.assert_array_equal(kernel, arrays["dfnet.lin0.weight"].T)
