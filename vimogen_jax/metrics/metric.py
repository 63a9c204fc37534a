"""What a metric measures: each motion, or a whole set of them."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Metric:
    """A column of a table of scores.

    Attributes:
        name: as in JSON.
        unit: of the value.
        of: "motion" where every motion has a value, and a set's is their mean; "set" where only a
            set of motions has one, such as a distance between two distributions.
        higher_is_better: whether a system should have more of it.
        binary: whether a motion's value is 0 or 1, so that a set's is a share.
    """

    name: str
    unit: str
    of: Literal["motion", "set"] = "motion"
    higher_is_better: bool = False
    binary: bool = False

    @property
    def label(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ")
