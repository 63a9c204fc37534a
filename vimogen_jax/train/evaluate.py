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
from vimogen_jax.input_pipeline.pipeline import Validation
from vimogen_jax.input_pipeline.records import MAX_FRAMES, Record
from vimogen_jax.sampling import EncodedRequest, MotionModel
from vimogen_jax.train.distributed import is_first
from vimogen_jax.train.step import make_eval_step
from vimogen_jax.train.warmup import laid_out

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
        """`batches` says how to batch, as `Validation` takes it."""
        self._graphdef, self._objective, self._sampler = graphdef, objective, sampler
        self._mesh, self._rows = mesh, sharding.Rows(mesh, mesh.size)
        self._dataset = dataset
        self._batches = Validation(dataset, **batches, shards=mesh.size, part=self._rows.local)
        self._step: Any = make_eval_step(graphdef, objective, dataset.statistics, dataset.null_text)
        records = dataset.records["validation"]
        chosen = np.linspace(0, len(records) - 1, min(PREVIEWS, len(records))).astype(int)
        self._shown = [_readable(records, int(i)) for i in chosen]

    def losses(self, params: Any) -> dict[str, float]:
        """Mean losses over the validation split: of all, by branch, and of its quarters of time."""
        totals: dict[str, np.ndarray] = {}
        for i, batch in enumerate(self._batches):
            arrays = self._rows.device_put(batch._replace(record=None))
            sums = self._step(params, arrays, _key(i))
            for name, (errors, count) in jax.device_get(sums).items():
                totals[name] = totals.get(name, 0) + np.array([errors, count], np.float64)
        there = {name: sums for name, sums in totals.items() if sums[1] or "/" not in name}
        return {f"validation_{name}": float(e / count) for name, (e, count) in there.items()}

    def write_previews(self, params: Any, folder: epath.Path) -> None:
        """Sample a few validation captions: `N.npz` (AMASS), `N.npy` (joints), `captions.json`.

        They are what a generator of these weights makes of the captions with seed 0.
        """
        model = self._model(params)
        sampled = model.channels(self._requests())
        if not is_first():
            return
        folder.mkdir(parents=True, exist_ok=True)
        captions = {}
        with tempfile.TemporaryDirectory() as local:
            aside = Path(local)  # motion files are not written to stores
            for i, (record, channels) in enumerate(zip(self._shown, sampled, strict=True)):
                if not np.isfinite(channels).all():
                    continue  # weights that have learnt little: no reason to end a run
                motion = model.decode(channels)
                captions[str(i)] = record.caption
                formats.write(motion, aside / f"{i}.npz")
                formats.write(motion, aside / f"{i}.npy")
            for path in aside.iterdir():
                (folder / path.name).write_bytes(path.read_bytes())
        write_json(captions, folder / "captions.json")

    def programs(self, params: Any, *, previews: bool) -> dict[str, list[jax.stages.Lowered]]:
        """What evaluating and, where they are due, previews compile for the shapes of weights."""
        batches = [laid_out(shape, self._mesh) for shape in self._batches.shapes]
        evaluation = [self._step.lower(params, batch, _key(0)) for batch in batches]
        sampling = self._model(params).programs(self._requests()) if previews else []
        return dict(evaluation=evaluation, sampling=sampling)

    def _model(self, params: Any) -> MotionModel:
        return MotionModel(
            self._graphdef,
            params,
            self._objective,
            self._sampler,
            self._dataset.statistics,
            self._dataset.fps,
            self._rows,
        )

    def _requests(self) -> list[EncodedRequest]:
        null_text = self._dataset.null_text
        return [
            EncodedRequest(
                min(len(record.motion), MAX_FRAMES), draw=i, text=record.text, null_text=null_text
            )
            for i, record in enumerate(self._shown)
        ]


def _key(batch: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(0), batch)


def _readable(records: RecordSource, i: int) -> Record:
    """Record `i`, or the next that is not skipped."""
    while (record := records.read(i)) is None:
        i = (i + 1) % len(records)
    return record
