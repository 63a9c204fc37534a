"""Our MiniLM agrees with transformers' BertModel on the same weights."""

import numpy as np
import pytest

from vimogen_jax.text import minilm

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch")
transformers = pytest.importorskip("transformers", reason="the reference is transformers' BERT")

pytestmark = pytest.mark.parity

TEXTS = [
    "",
    "a person walks forward",
    "He jumps, waves both arms; then sits down slowly!",
    "une personne danse la valse à pas légers",
    "someone " * 90 + "stops",
    "turn " * 254,
]


@pytest.fixture(scope="module")
def reference():
    folder = minilm._find_folder()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer, transformers.BertModel.from_pretrained(folder, dtype=torch.float32).eval()


def test_token_features_agree_with_transformers(reference):
    tokenizer, model = reference
    features = minilm.MiniLM()(TEXTS)
    for text, ours in zip(TEXTS, features, strict=True):
        inputs = tokenizer(text, return_tensors="pt", truncation=False)
        with torch.no_grad():
            theirs = model(**inputs).last_hidden_state[0].numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)
