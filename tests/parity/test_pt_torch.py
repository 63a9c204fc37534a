"""Our reader of .pt gives what PyTorch's own gives."""

import numpy as np
import pytest

from vimogen_jax.formats import pickles

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch")

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_comes_back(tmp_path, zipped):
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(8, 12, generator=generator)
    content = {
        "float": whole,
        "views": [whole[2:5], whole[:, 3:9:2], whole.T],
        "half": (whole.half(), whole.double(), (10 * whole).long(), whole > 0),
        "scalar": torch.tensor(3.5),
        "plain": {"text": "a person walks.", "fps": 30, "none": None},
    }
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    ours = pickles.read_pt(tmp_path / "a.pt")
    assert ours["plain"] == content["plain"]
    pairs = [
        (ours["float"], content["float"]),
        (ours["scalar"], content["scalar"]),
        *zip(ours["views"], content["views"], strict=True),
        *zip(ours["half"], content["half"], strict=True),
    ]
    for array, tensor in pairs:
        assert array.dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(array, tensor.numpy())


def test_bfloat16(tmp_path):
    tensor = torch.randn(5, 7).bfloat16()
    torch.save(tensor, tmp_path / "a.pt")
    ours = pickles.read_pt(tmp_path / "a.pt")
    np.testing.assert_array_equal(ours.astype(np.float32), tensor.float().numpy())
