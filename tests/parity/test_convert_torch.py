"""PyTorch's own files of weights: read as they are, written so that torch reads them back."""

import os
from collections import OrderedDict

import numpy as np
import pytest
from safetensors.numpy import load_file

from vimogen_jax.convert.checkpoint import to_package, to_reference
from vimogen_jax.convert.files import map_weights
from vimogen_jax.errors import BadInput

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def state_dict(golden_file):
    arrays = load_file(golden_file("tm2m_micro_full_state.safetensors"))
    return OrderedDict((key, torch.from_numpy(array)) for key, array in arrays.items())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_pt_comes_back_bitwise(state_dict, tmp_path, dtype, golden_file):
    given = OrderedDict((k, tensor.to(getattr(torch, dtype))) for k, tensor in state_dict.items())
    torch.save(given, tmp_path / "model.pt")
    to_package(tmp_path / "model.pt", golden_file("mean.npy").parent, tmp_path / "a", 2)
    to_reference(tmp_path / "a", tmp_path / "back" / "model.pt")
    names = {path.name for path in (tmp_path / "back").iterdir()}
    assert names == {"model.pt", "mean.npy", "std.npy"}
    back = torch.load(tmp_path / "back" / "model.pt", weights_only=True)
    assert back.keys() == given.keys()
    for key, tensor in back.items():
        assert tensor.dtype == given[key].dtype
        if not key.endswith(".pe"):
            assert torch.equal(tensor, given[key]), key


def test_one_level_of_a_training_script_is_looked_into(state_dict, tmp_path):
    path = tmp_path / "step_40000.pt"
    torch.save({"model": state_dict, "ema": {}, "step": 40000}, path)
    arrays, taken = map_weights(path)
    assert taken == f"{path}, its 'model' (not its ema, step)"
    assert arrays.keys() == state_dict.keys()
    np.testing.assert_array_equal(
        arrays["motion_head.head.bias"], state_dict["motion_head.head.bias"]
    )


class Evil:
    def __reduce__(self):
        return os.system, ("touch RAN",)


def test_other_files_are_refused_and_run_no_code(state_dict, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict), "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    for content, fault in (
        ({"a": Evil()}, "more than tensors, .* could run code, so it is refused"),
        ({"a": 1}, "a is a int, not a tensor"),
        ({"a": torch.arange(3)}, "tensor a is torch.int64, not F16"),
        ([torch.ones(3)], "holds a list, not tensors by name"),
        (whole[:-100], "not a whole .pt of tensors"),
        (b"", "not a whole .pt of tensors|more than tensors"),
        (b"no such thing at all", "not a whole .pt of tensors|more than tensors"),
    ):
        if isinstance(content, bytes):
            (tmp_path / "bad.pt").write_bytes(content)
        else:
            torch.save(content, "bad.pt")
        with pytest.raises(BadInput, match=f"bad.pt.*{fault}") as refusal:
            map_weights("bad.pt")
        assert "\n" not in str(refusal.value)
    torch.save({"a": torch.ones(3)}, "bad.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(BadInput, match="bad.pt is not a whole .pt of tensors: mmap can only"):
        map_weights("bad.pt")
    assert not (tmp_path / "RAN").exists()
