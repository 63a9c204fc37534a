"""A Qwen-VL as a judge, on this machine, through transformers: from version 2 on."""

import re
from pathlib import Path
from typing import Any

from PIL import Image

from data.adapters.vlm.frames import PREFACE, frames
from data.adapters.vlm.model import Unanswered
from vimogen_jax.errors import BadInput

IMAGE = "<|image_pad|>"  # in the text, once for each square that the model sees of a picture


class Qwen:
    """A `VisionLanguageModel` that is shown pictures; on a GPU where PyTorch has one.

    The text is put together here: transformers' own processor of videos needs torchvision.
    """

    at_once = 1
    server = ""
    preface = PREFACE
    timeout: float | None = None

    def __init__(self, model: str, longest_answer: int = 1024):
        """Load the folder or Hugging Face name `model`; the latter is downloaded once.

        longest_answer: in tokens; what is longer is cut.

        Raises:
            BadInput: PyTorch or transformers is not installed, or this is no Qwen-VL.
        """
        try:
            import torch  # pyright: ignore[reportMissingImports]
            import transformers  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise BadInput(
                'the judge qwen needs transformers: pip install "vimogen_jax[torch]"'
            ) from None
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
            self._processor: Any = transformers.AutoImageProcessor.from_pretrained(model)
            network: Any = transformers.AutoModelForImageTextToText.from_pretrained(
                model, dtype="auto"
            )
            network = network.to(device)
        except torch.OutOfMemoryError:
            raise BadInput(f"{model} does not fit the memory of the GPU") from None
        except (OSError, ValueError) as fault:
            reason = str(fault).strip().split("\n")[0]
            raise BadInput(f"{model} cannot be loaded as a Qwen-VL: {reason}") from None
        if not network.config.model_type.startswith("qwen"):
            raise BadInput(f"{model} is no Qwen-VL, but {network.config.model_type}")
        self._network: Any = network.eval()
        self._longest_answer = longest_answer
        self.name = f"qwen:{model}"

    def ask(self, question: str, video: Path) -> str:
        """See `VisionLanguageModel.ask`."""
        import torch  # pyright: ignore[reportMissingImports]

        inputs = self.inputs(self.preface + question, frames(video))
        try:
            with torch.inference_mode():
                tokens = self._network.generate(
                    **inputs, do_sample=False, max_new_tokens=self._longest_answer
                )
        except torch.OutOfMemoryError:
            raise Unanswered("not enough GPU memory for this video", retryable=False) from None
        answer = tokens[0, inputs["input_ids"].shape[1] :]
        return self._tokenizer.decode(answer, skip_special_tokens=True).strip()

    def inputs(self, text: str, pictures: list[Image.Image]) -> dict[str, Any]:
        """What the network is given: patches of the pictures, and the tokens they stand for."""
        seen = self._processor(images=pictures, return_tensors="pt")
        content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": text}]
        prompt = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        squares = seen["image_grid_thw"].prod(dim=1) // self._processor.merge_size**2
        counts = iter(squares.tolist())
        prompt = re.sub(re.escape(IMAGE), lambda _: IMAGE * next(counts), prompt)
        tokens = self._tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        is_image = tokens["input_ids"] == self._network.config.image_token_id
        inputs = {**tokens, **seen, "mm_token_type_ids": is_image.int()}
        return {name: tensor.to(self._network.device) for name, tensor in inputs.items()}
