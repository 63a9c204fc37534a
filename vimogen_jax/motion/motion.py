"""A motion: the pose of the 22-joint body in every frame, in the z-up world."""

from dataclasses import dataclass, replace
from typing import TypeVar

from jaxtyping import Float

from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import Array
from vimogen_jax.body.skeleton import NUM_JOINTS


@dataclass(frozen=True, eq=False)
class Motion:
    """Joint rotations and the root's path; what every file format reads and writes.

    rotations: the root's (`global_orient`) first, then each joint's relative to its
        parent (`body_pose`). The template is y up, the world z up: the root turns one into the
        other. A person in the canonical frame faces +y, with the right hand towards +x.
    transl: metres; the pelvis stands at transl + its rest position, as in SMPL-X.
    fps: frames a second.

    NumPy or JAX arrays. Raises ValueError where the shapes disagree or fps is not positive.
    """

    rotations: Float[Array, "t 22 3 3"]
    transl: Float[Array, "t 3"]
    fps: float

    def __post_init__(self):
        frames = self.rotations.shape[0]
        if self.rotations.shape != (frames, NUM_JOINTS, 3, 3) or self.transl.shape != (
            frames,
            3,
        ):
            raise ValueError(
                f"a motion has rotations [t, 22, 3, 3] and transl [t, 3], "
                f"not {self.rotations.shape} and {self.transl.shape}"
            )
        if not self.fps > 0:
            raise ValueError(f"frames a second must be positive, not {self.fps}")

    @property
    def num_frames(self) -> int:
        return self.rotations.shape[0]

    @property
    def seconds(self) -> float:
        return self.num_frames / self.fps

    def joints(self) -> Float[Array, "t 22 3"]:
        """Positions of the 22 joints in the world, in metres."""
        return forward_kinematics(self.rotations, self.transl)[1]

    def __getitem__(self: "AnyMotion", frames: slice) -> "AnyMotion":
        """The motion of a range of frames, `motion[a:b]`; a step would change its speed."""
        if not isinstance(frames, slice) or frames.step is not None:
            raise TypeError("a motion is cut by a range of frames: motion[a:b]")
        return replace(self, rotations=self.rotations[frames], transl=self.transl[frames])


AnyMotion = TypeVar("AnyMotion", bound=Motion)  # functions of motions keep what else one carries
