"""What a run measures and shows of its averaged weights: held-out loss and sampled previews."""

import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import nnx

from vimogen_jax import formats, sharding
from vimogen_jax.diffusion.flow import Objective
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.files import write_json
from vimogen_jax.input_pipeline.dataset import Dataset, RecordSource
from vimogen_jax.input_pipeline.pipeline import validation_batches
from vimogen_jax.input_pipeline.records import MAX_FRAMES, Record
from vimogen_jax.sampling import EncodedRequest, MotionModel
from vimogen_jax.train.distributed import is_first
from vimogen_jax.train.step import make_eval_step

PREVIEWS = 4


class Validator:
    """Evaluates weights on the validation split, each time with the same noise and times."""

    def __init__(
        self,
        graphdef: nnx.GraphDef,
        objective: Objective,
        sampler: Sampler,
        dataset: Dataset,
        mesh: jax.sharding.Mesh,
        **batches: Any,
    ):
        """`batches` says how to batch, as `validation_batches` takes it."""
        self._graphdef, self._objective, self._sampler = graphdef, objective, sampler
        self._rows = sharding.Rows(mesh, mesh.size)
        self._dataset = dataset
        self._batches = dict(batches, shards=mesh.size, part=self._rows.local)
        self._step = make_eval_step(graphdef, objective, dataset.statistics)

    def losses(self, params: Any) -> dict[str, float]:
        """Mean losses over the validation split, one by branch and one of both."""
        totals: dict[str, np.ndarray] = {}
        for i, batch in enumerate(validation_batches(self._dataset, **self._batches)):
            key = jax.random.fold_in(jax.random.key(0), i)
            sums = self._step(params, self._rows.device_put(batch._replace(record=None)), key)
            for name, (errors, count) in jax.device_get(sums).items():
                totals[name] = totals.get(name, 0) + np.array([errors, count], np.float64)
        return {f"validation_{name}": float(e / count) for name, (e, count) in totals.items()}

    def write_previews(self, params: Any, folder: epath.Path) -> None:
        """Sample a few validation captions: `N.npz` (AMASS), `N.npy` (joints), `captions.json`.

        They are what a generator of these weights makes of the captions with seed 0.
        """
        records = self._dataset.records["validation"]
        chosen = np.linspace(0, len(records) - 1, min(PREVIEWS, len(records))).astype(int)
        chosen = [_readable(records, int(i)) for i in chosen]
        null_text = self._dataset.null_text
        requests = [
            EncodedRequest(
                min(len(record.motion), MAX_FRAMES), draw=i, text=record.text, null_text=null_text
            )
            for i, record in enumerate(chosen)
        ]
        model = MotionModel(
            self._graphdef,
            params,
            self._objective,
            self._sampler,
            self._dataset.statistics,
            self._dataset.fps,
            self._rows,
        )
        sampled = model.channels(requests)
        if not is_first():
            return
        folder.mkdir(parents=True, exist_ok=True)
        captions = {}
        with tempfile.TemporaryDirectory() as local:
            aside = Path(local)  # motion files are not written to stores
            for i, (record, channels) in enumerate(zip(chosen, sampled, strict=True)):
                if not np.isfinite(channels).all():
                    continue  # weights that have learnt little: no reason to end a run
                motion = model.decode(channels)
                captions[str(i)] = record.caption
                formats.write(motion, aside / f"{i}.npz")
                formats.write(motion, aside / f"{i}.npy")
            for path in aside.iterdir():
                (folder / path.name).write_bytes(path.read_bytes())
        write_json(captions, folder / "captions.json")


def _readable(records: RecordSource, i: int) -> Record:
    """Record `i`, or the next that is not skipped."""
    while (record := records.read(i)) is None:
        i = (i + 1) % len(records)
    return record
