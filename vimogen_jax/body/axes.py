"""The worlds that motions come in: which axis is up, the unit of length, and what turns them.

Ours is z up, in metres; a person in the canonical frame faces +y, the right hand towards +x.
"""

import numpy as np

# A y-up world whose person faces +z, as BVH, glTF and HumanML3D have it.
Y_UP_TO_Z_UP = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
# A camera looks along z, x to its right, y down: what it looks along becomes +y, up +z.
CAMERA_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
UPS = {"z": np.eye(3), "y": Y_UP_TO_Z_UP, "-y": CAMERA_TO_Z_UP}  # what turns each to z up
UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0, "in": 39.3701}  # of them in a metre
for _turn in UPS.values():
    _turn.setflags(write=False)
