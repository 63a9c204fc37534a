"""The frames of a video, for judges that see pictures."""

from pathlib import Path

import av
from PIL import Image

from data.adapters.vlm.model import FPS, Unwatchable

PREFACE = f"These pictures are the frames of a video in order, {FPS} a second.\n"


def frames(video: Path) -> list[Image.Image]:
    """The first picture of a video and those after it, `FPS` a second.

    Raises:
        Unwatchable: the file is damaged, or no video.
    """
    chosen = []
    try:
        with av.open(str(video)) as container:
            for picture in container.decode(video=0):
                if picture.time is not None and picture.time >= len(chosen) / FPS - 1e-6:
                    chosen.append(picture.to_image())
    except Exception:  # no stream of pictures, or damage, which surfaces as nearly any
        chosen = []
    if not chosen:
        raise Unwatchable(f"{video} is damaged, or no video")
    return chosen
