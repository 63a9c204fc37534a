"""Videos of motions for judges and for people: an MP4 a motion, drawn in several processes.

A video is named by its prompt and by a hash of its motion; what is there is not drawn again.
"""

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from tqdm import tqdm

from eval.bodies import to_motion
from eval.systems import Clip
from vimogen_jax.errors import BadInput
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.motion import Motion
from vimogen_jax.stopping import unheard_by_children

SIZE = 448  # pixels of each side: the judges' image encoders cut pictures into squares of 28
STYLE = 2  # of the pictures: raise it when they change, so that videos are drawn anew


def render(clips: Mapping[int, Clip], folder: str | os.PathLike) -> dict[int, Path]:
    """Draw each clip as `<id>-<hash>.mp4`, 20 fps; -> the videos by prompt id.

    The camera stands still, so that one sees where somebody goes, unless they go far. The body is
    fitted where a clip has joints alone. An interrupted run goes on where it stopped.

    Raises:
        BadInput: a process that draws was killed.
        ImportError: Numba, which draws, is not installed.
    """
    from vimogen_jax.viewer.video import write_mp4

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    motions = {id: to_motion(clip) for id, clip in clips.items()}
    videos = {id: folder / f"{id}-{_fingerprint(motion)}.mp4" for id, motion in motions.items()}
    wanted = [id for id, video in videos.items() if not _is_whole(video)]
    if not wanted:
        return videos
    workers = min(os.cpu_count() or 1, len(wanted))
    # Forked, JAX's threads could leave a child with a lock that nobody opens.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        with unheard_by_children():
            drawn = [
                pool.submit(write_mp4, motions[id], videos[id], size=SIZE, follow="far")
                for id in wanted
            ]
        try:
            for each in tqdm(
                as_completed(drawn), "rendering", len(drawn), unit="video", disable=None
            ):
                each.result()
        except BrokenProcessPool:
            raise BadInput(
                "a process that draws videos was killed, perhaps for memory; run it again to go on"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)
    return videos


def _is_whole(video: Path) -> bool:
    """Whether a video is there, with all frames that its index tells of."""
    try:
        with av.open(str(video)) as container:
            (stream,) = container.streams.video
            packets = [packet for packet in container.demux(stream) if packet.size]
            return len(packets) == stream.frames and not any(each.is_corrupt for each in packets)
    except (OSError, ValueError, FFmpegError):
        return False


def _fingerprint(motion: Motion) -> str:
    return fingerprint(
        {"rotations": motion.rotations, "transl": motion.transl, "style": np.array([SIZE, STYLE])}
    )[:16]
