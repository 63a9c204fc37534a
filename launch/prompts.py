"""Make sentences to ask motions of, with their texts for a motion model and for a video model.

python -m launch.prompts --out out/prompts.jsonl --count 14000
"""

import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from data.adapters import llm
from data.priors.texts import Template, video_text
from data.sentences import Sentence, content_words, sentences
from data.similar import distinct, mbench_vectors, nearest
from data.verbs import read_verbs
from launch import cli, outputs
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json, write_text
from vimogen_jax.text.minilm import MiniLM
from vimogen_jax.text.sentences import sentence_vectors

COUNT = flags.DEFINE_integer("count", 1000, "how many sentences", 1, 1_000_000)
OUT = flags.DEFINE_string("out", None, "JSON lines to write, for launch.priors", required=True)
SEED = flags.DEFINE_integer("seed", 0, "seed of the grammar", 0)
ALIKE = flags.DEFINE_float(
    "alike", 0.95, "sentences whose vectors have this cosine are duplicates", 0.0, 1.0
)
NEAR = flags.DEFINE_float(
    "near", 0.8, "sentences this near one of MBench's prompts, by cosine, are left out", 0.0, 1.0
)
WRITER = flags.DEFINE_string("writer", "template", f"who writes the two texts: {llm.FORMS}")
WRITER_URL = flags.DEFINE_string("writer_url", None, "URL of the writer's server")
PATIENCE = 20  # times as many sentences are made as are wanted, and no more


def main() -> None:
    """Make sentences until there are enough that are unlike each other and unlike MBench's."""
    started = time.monotonic()
    out = Path(OUT.value)
    outputs.files(out.parent, [out.name, f"{out.name}.report.json"])
    llm.open_writer(WRITER.value, WRITER_URL.value)  # before the work
    encoder, mbench = MiniLM(), mbench_vectors()
    made = itertools.islice(sentences(read_verbs(), SEED.value), PATIENCE * COUNT.value)
    kept, known = list[Sentence](), np.empty((0, encoder.width), np.float32)
    left_out = dict(alike=0, near_mbench=0)
    nearest_kept = -1.0
    with tqdm(total=COUNT.value, desc="sentences", unit="sentence", disable=None) as bar:
        while missing := COUNT.value - len(kept):
            some = list(itertools.islice(made, min(2048, missing + missing // 8 + 8)))
            if not some:
                raise BadInput(f"only {len(kept)} sentences are so unlike: allow a larger cosine")
            found = sentence_vectors(encoder, [each.text for each in some])
            near = nearest(found, mbench)
            apart = near < NEAR.value
            left_out["near_mbench"] += int((~apart).sum())
            stays = np.flatnonzero(apart)[distinct(found[apart], known, ALIKE.value)]
            left_out["alike"] += int(apart.sum()) - len(stays)
            stays = stays[:missing]
            kept += [some[i] for i in stays]
            known = np.concatenate([known, found[stays]])
            nearest_kept = max(nearest_kept, float(near[stays].max(initial=-1)))
            bar.update(len(stays))
    rows = []
    texts = [each.text for each in kept]
    for i, (each, said) in enumerate(zip(kept, written(texts), strict=True), start=1):
        if isinstance(said, BadInput):
            print(f"sentence {i} has the template's texts: {said}", file=sys.stderr)
            said = each.text, video_text(each.text)
        rows.append(dict(id=i, text=each.text, kind=each.kind, motion=said[0], video=said[1]))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text("".join(json.dumps(row) + "\n" for row in rows), out)
    report = dict(
        sentences=len(kept),
        kinds=dict(Counter(each.kind for each in kept).most_common()),
        content_words=len(content_words(texts)),
        left_out=left_out,
        nearest_to_mbench=round(nearest_kept, 4),
        seconds=round(time.monotonic() - started, 1),
    )
    write_json(report, f"{out}.report.json")
    print(json.dumps(report))
    print(f"{out} written")


def written(texts: Sequence[str]) -> Iterator[tuple[str, str] | BadInput]:
    """The two texts of each sentence, or why its writer has none."""
    writer = llm.open_writer(WRITER.value, WRITER_URL.value) or Template()
    for first in range(0, len(texts), writer.at_once):
        yield from writer(texts[first : first + writer.at_once])


if __name__ == "__main__":
    cli.run(main)
