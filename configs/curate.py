"""What a film must be to become a record: the filters of `launch.curate`, in their order.

python -m launch.curate --films DIR --out DATASET --config=configs/curate.py \\
    --config.limits.camera.most=1.5
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Limits for films of one person before a camera that stands still."""
    return ConfigDict(
        dict(
            size=512,  # pixels of the longer side that films are looked at in
            camera_every=2,  # frames between those in which the camera's movement is read
            people_every=10,  # frames between those in which people and landmarks are looked for
            sudden=2.0,  # times as much change as around: there landmarks are compared
            sudden_places=3,  # of a film, at most
            limits=dict(
                duration=dict(least=2.0, most=10.0),  # seconds
                cut=dict(most=0.1),  # of white, mean difference of two frames
                camera=dict(most=1.0),  # pixels a frame at `size`
                people=dict(least=0.9),  # share of frames with just one person
                whole_body=dict(least=0.9),  # share of frames with all of the body in the picture
                visibility=dict(least=0.85),  # mean of the limbs' joints, 0 to 1
                movement=dict(least=0.05),  # metres that some landmark strays
                jump=dict(most=0.05),  # metres from frame to frame beyond what movement explains
            ),
        )
    )
