"""Installs the library `vimogen_jax`; the folders beside it run from the checkout."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "vimogen_jax/__init__.py").read_text())[1]

REQUIRED = [
    "absl-py>=2.5,<3",
    "array_record>=0.8.6,<0.9",
    "av>=18.1,<19",
    "embreex>=4.4,<5",
    "etils>=1.15,<2",
    "flax>=0.12.8,<0.13",
    "ftfy>=6.3.1,<7",
    "grain>=0.2.18,<0.3",
    "huggingface_hub>=2.4,<3",
    "jax>=0.10.2,<0.11",
    "ml_collections>=1.1,<2",
    "ml_dtypes>=0.6,<0.7",
    "numpy>=2.4,<3",
    "optax>=0.2.8,<0.3",
    "orbax-checkpoint>=0.12.8,<0.13",
    "pillow>=13,<14",
    "pygltflib>=1.16.5,<2",
    "safetensors>=0.8,<0.9",
    "scikit-learn>=1.9,<2",
    "scipy>=1.17,<2",
    "tensorboardX>=2.6.5,<3",
    "tokenizers>=0.23.3,<0.24",
    "tqdm>=4.70,<5",
]
BLAZEPOSE = ["tflite>=2.18,<3"]
JUDGE = ["google-genai>=3.4,<4", "httpx2>=2.16,<3", "openai>=3.54,<4"]
TEST = ["fsspec>=2026.9", "hypothesis>=6.170,<7", "pytest>=9.2,<10"]
EXTRAS = {
    "cuda": ["jax[cuda13]>=0.10.2,<0.11"],
    "tpu": ["jax[tpu]>=0.10.2,<0.11"],
    # The compilers for both, to plan on any machine: of CUDA no more than its plugin.
    "plan": ["jax[tpu]>=0.10.2,<0.11", "jax-cuda13-plugin>=0.10.2,<0.11"],
    "blazepose": BLAZEPOSE,  # to read its published networks, which come along converted
    "judge": JUDGE,  # clients of the servers that judge motions
    "torch": ["smplx>=0.1.28,<0.2", "torch>=2.13,<2.14", "transformers>=5.23,<6"],
    "oracle": ["libigl>=2.6,<3"],  # GPL: for tests alone
    "test": [*JUDGE, *TEST],
    "dev": [
        *JUDGE,
        *TEST,
        "pre-commit>=4.7,<5",
        "pyright[nodejs]>=1.1.414,<1.2",
        "ruff>=0.17.6,<0.18",
    ],
}

setup(
    name="vimogen_jax",
    version=VERSION,
    description="Text to 3D human motion with a gated flow-matching transformer, in JAX",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0 AND CC-BY-NC-4.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.11",
    # Said outright, editable installs put this folder on the path; otherwise a checkout's folder of
    # the same name hides the library from scripts beside it.
    package_dir={"": "."},
    packages=find_packages(include=["vimogen_jax", "vimogen_jax.*"]),
    package_data={
        "vimogen_jax": ["assets/**/*", "body/assets/*", "formats/skeletons/*", "viewer/assets/*"]
    },
    install_requires=REQUIRED,
    extras_require=EXTRAS,
)
