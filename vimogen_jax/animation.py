"""A motion that shows, plots, edits and saves itself, for notebooks and for Python by hand."""

import html
import os
import sys
import tempfile
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vimogen_jax import formats
from vimogen_jax.body.mesh import Body
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.motion import editing
from vimogen_jax.motion.mirror import mirrored
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample
from vimogen_jax.viewer.page import Card, page, write_page

_HEIGHT = 620  # pixels of a notebook's cell
_DRAWN = ("pelvis", "head", "left_wrist", "right_wrist", "left_foot", "right_foot")


@dataclass(frozen=True, eq=False, repr=False)
class Animation(Motion):
    """A motion with its caption and, where that is known, how it came about.

    Frames are cut as of any motion, `animation[a:b]`; `cut` takes seconds. What changes a motion
    returns another and keeps the caption.
    """

    caption: str = ""
    provenance: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls, motion: Motion, caption: str = "", provenance: Mapping[str, Any] | None = None
    ) -> "Animation":
        """Any motion as one."""
        rotations, transl = np.asarray(motion.rotations), np.asarray(motion.transl)
        return cls(rotations, transl, motion.fps, caption, provenance)

    def __repr__(self) -> str:
        length = f"{self.seconds:.1f} s, {self.num_frames} frames at {self.fps:g} a second"
        return f"Animation({f'{self.caption!r}, ' if self.caption else ''}{length})"

    def __len__(self) -> int:
        """How many frames it has."""
        return self.num_frames

    def __add__(self, after: Motion) -> "Animation":
        """This, and then another that begins where this ends: `motion.editing.joined`."""
        return editing.joined(self, after) if isinstance(after, Motion) else NotImplemented

    def cut(self, start: float = 0.0, end: float | None = None) -> "Animation":
        """From `start` until before `end`, in seconds; less than 0 counts from the end.

        Raises BadInput where no frame lies between.
        """
        return editing.cut(self, start, end)

    def mirrored(self) -> "Animation":
        """What is done with the left is done with the right."""
        return mirrored(self)

    def retimed(self, seconds: float) -> "Animation":
        """The same movement in so many seconds; BadInput where that is less than two frames."""
        return editing.retimed(self, seconds)

    def resampled(self, fps: float) -> "Animation":
        """The same movement, as long, at another frame rate."""
        return resample(self, fps)

    def placed(self, x: float = 0.0, y: float = 0.0, facing: float = 0.0) -> "Animation":
        """Begun over (x, y), in metres, facing `facing` degrees to the left of +y."""
        return editing.placed(self, x, y, facing)

    def save(self, path: str | os.PathLike) -> None:
        """Write a file of the motion, as `write` does, with its caption and provenance."""
        write(self, path, self.caption, self.provenance)

    def show(self) -> None:
        """Show it below the cell of a notebook, else in a browser."""
        show(self)

    def plot(self) -> Any:
        """The heights of pelvis, head, hands and feet over time, and the way from above.

        Returns a figure of Matplotlib. Raises ImportError without the extra `plot`.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError(
                "plots are drawn with Matplotlib, which is not installed: "
                'pip install "vimogen_jax[plot]"'
            ) from None
        figure = Figure(figsize=(9, 3.5), layout="constrained")
        heights, way = figure.subplots(1, 2, width_ratios=[2, 1])
        joints, times = self.joints(), np.arange(self.num_frames) / self.fps
        for name in _DRAWN:
            heights.plot(times, joints[:, JOINT_NAMES.index(name), 2], label=name.replace("_", " "))
        heights.set(xlabel="s", ylabel="height, m", title=self.caption)
        heights.legend(fontsize="small", ncols=3)
        way.plot(*joints[:, 0, :2].T)
        way.plot(*joints[0, 0, :2], "o")
        way.set(xlabel="x, m", ylabel="y, m", title="from above", aspect="equal")
        way.set_adjustable("datalim")
        return figure

    def _repr_html_(self) -> str:
        return _frame([self])

    def _card(self) -> Card:
        return Card(self.caption or "a motion", self)


def write(
    motion: Motion,
    path: str | os.PathLike,
    title: str = "",
    provenance: Mapping[str, Any] | None = None,
    body: Body | None = None,
) -> None:
    """Write a .bvh, .npz, .glb, .npy (joints), .mp4 or .html, by the extension.

    title: on a film or a page. body: what a film, a page or a .glb shows in place of ours.

    Raises BadInput where it is none of these; ImportError, for .mp4, without the extra `film`.
    """
    writer = WRITERS.get(Path(path).suffix.lower())
    if writer is None:
        endings = ", ".join(WRITERS)
        raise BadInput(f"{path or 'a file of no name'}: a motion is saved as {endings}")
    writer(motion, path, title, provenance, body)


def _write_motion_file(motion, path, title, provenance, body) -> None:
    formats.write(motion, path, provenance, body)


def _write_film(motion, path, title, provenance, body) -> None:
    from vimogen_jax.viewer.video import write_mp4  # with Numba, which not everybody has

    write_mp4(motion, path, title or None, body, provenance=provenance)


def _write_page(motion, path, title, provenance, body) -> None:
    write_page([Card(title or "a motion", motion)], path, body)


WRITERS = {
    **dict.fromkeys(formats.WRITERS, _write_motion_file),
    ".mp4": _write_film,
    ".html": _write_page,
}


def read(path: str | os.PathLike, **world: Any) -> Animation:
    """A motion file, or a film of a person, as an animation; its caption is the file's name.

    world: what is known of a motion file, as `formats.read` takes it; of a film, as
        `mocap.reading.read_film` does.

    Raises BadInput, naming the file and the fault; of a film also where it has cuts: then there are
    several motions, which `read_film` gives.
    """
    from vimogen_jax.mocap.film import is_film  # here, since films need more than motion files

    name = Path(path).stem
    if not is_film(os.fspath(path)):
        return Animation.of(formats.read(path, **world), name)
    from vimogen_jax.mocap.reading import read_film

    readings = read_film(path, **world)
    if len(readings) != 1:
        raise BadInput(f"{path}: has {len(readings)} parts with a person; choose one by start")
    return Animation.of(readings[0].motion, name)


def show(*animations: Animation) -> None:
    """Show motions side by side on one clock: below the cell of a notebook, else in a browser."""
    ipython = sys.modules.get("IPython")  # whoever runs in a notebook has it
    if ipython is not None and ipython.get_ipython() is not None:
        ipython.display.display(ipython.display.HTML(_frame(animations)))
        return
    folder = tempfile.mkdtemp(prefix="vimogen-")  # the browser reads it after this has ended
    path = Path(folder, "motions.html")
    write_page([each._card() for each in animations], path)
    webbrowser.open(path.as_uri())


def _frame(animations: tuple[Animation, ...] | list[Animation]) -> str:
    """The page of motions in a frame of its own, which can reach nothing of the notebook."""
    inside = html.escape(page([each._card() for each in animations]))
    return (
        f'<iframe srcdoc="{inside}" sandbox="allow-scripts" title="motions" '
        f'style="width: 100%; height: {_HEIGHT}px; border: 0"></iframe>'
    )
