"""A Qwen-VL of a few thousand random weights can be asked: it sees pictures, and answers."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from data.adapters.vlm import open_model
from data.adapters.vlm.frames import frames
from data.adapters.vlm.qwen import IMAGE, Qwen
from tests.helpers.videos import write_video
from vimogen_jax.errors import BadInput

torch = pytest.importorskip("torch", reason="the judge qwen needs torch")
transformers = pytest.importorskip("transformers", reason="the judge qwen needs transformers")

pytestmark = pytest.mark.parity

START, END, PAD = "<|vision_start|>", "<|vision_end|>", "<|endoftext|>"
SPECIAL = [PAD, "<|im_start|>", "<|im_end|>", START, END, IMAGE, "<|video_pad|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}" + START + IMAGE + END + "{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Qwen2.5-VL as it is published: a token is a byte, a square is 28 pixels wide."""
    folder = tmp_path_factory.mktemp("judges") / "tiny-qwen"
    folder.mkdir()
    vocabulary = {token: id for id, token in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    vocabulary |= {token: len(vocabulary) + id for id, token in enumerate(SPECIAL)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in {
        "tokenizer_config": {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": "<|im_end|>",
            "pad_token": PAD,
            "chat_template": TEMPLATE,
        },
        "preprocessor_config": {
            "image_processor_type": "Qwen2VLImageProcessor",
            "patch_size": 14,
            "merge_size": 2,
            "temporal_patch_size": 2,
            "min_pixels": 28 * 28,
            "max_pixels": 4 * 28 * 28,
        },
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": len(vocabulary),
            "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
            "bos_token_id": vocabulary[PAD], "eos_token_id": vocabulary["<|im_end|>"],
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2,
            "out_hidden_size": 16, "fullatt_block_indexes": [0], "window_size": 56,
        },
        image_token_id=vocabulary[IMAGE], video_token_id=vocabulary["<|video_pad|>"],
        vision_start_token_id=vocabulary[START], vision_end_token_id=vocabulary[END],
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_it_sees_the_pictures_and_answers(folder, tmp_path):
    judge = Qwen(str(folder), longest_answer=8)
    assert (judge.name, judge.at_once) == (f"qwen:{folder}", 1)
    dark, light = (write_video(tmp_path / f"{shade}.mp4", shade) for shade in (0, 130))
    answer = judge.ask("What is it?", dark)
    assert answer and answer == judge.ask("What is it?", dark)

    inputs = judge.inputs("What is it?", frames(dark))
    tokens = inputs["input_ids"]
    is_image = tokens == judge._tokenizer.convert_tokens_to_ids(IMAGE)
    # Eight pictures of 32 pixels: one square each, between their marks and before the words.
    assert is_image.sum() == 8 and torch.equal(is_image.int(), inputs["mm_token_type_ids"])
    text = judge._tokenizer.decode(tokens[0])
    assert f"user\n{(START + IMAGE + END) * 8}What is it?<|im_end|>" in text
    seen = [
        judge._network(**judge.inputs("What is it?", frames(video))).logits[0, -1]
        for video in (dark, light)
    ]
    assert not torch.allclose(*seen, atol=1e-6)


def test_what_is_no_qwen_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be loaded as a Qwen-VL"):
        open_model(f"qwen:{tmp_path}")
    with pytest.raises(BadInput, match="cannot be loaded as a Qwen-VL"):
        open_model("qwen:./nowhere/at/all")
