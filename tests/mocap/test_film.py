"""Films of every kind come out upright, in colour, at a constant rate; the rest is refused."""

import dataclasses
import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vimogen_jax.errors import BadInput
from vimogen_jax.mocap.film import frames, open_film

RED, BLUE = (200, 30, 30), (30, 30, 200)


def split_picture(width: int, height: int) -> np.ndarray:
    """Red above, blue below."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2], picture[height // 2 :] = RED, BLUE
    return picture


def write_film(
    path: Path,
    pictures: list[np.ndarray],
    *,
    fps: int = 20,
    times: list[float] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: int = 0,
) -> Path:
    """Write pictures at a rate, or at `times` in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            time = times[number] if times else number / fps
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def colour(picture: np.ndarray, row: float, column: float) -> str:
    red, _, blue = picture[int(row * len(picture)), int(column * picture.shape[1])].astype(int)
    return "red" if red > blue else "blue"


def test_a_film_is_read_whole_and_in_part(tmp_path):
    path = write_film(tmp_path / "a.mp4", [split_picture(64, 48)] * 30)
    film = open_film(path)
    assert (film.fps, film.width, film.height) == (20, 64, 48)
    whole = list(frames(film))
    assert len(whole) == 30 and whole[0].shape == (48, 64, 3)
    assert [colour(whole[3], row, 0.5) for row in (0.2, 0.8)] == ["red", "blue"]
    assert len(list(frames(film, start=0.5, seconds=0.5))) == 10
    assert len(list(frames(film, start=1.25))) == 5


@pytest.mark.parametrize(
    "fps, expected", [(24, 24), (25, 25), (30, 30), (50, 25), (60, 30), (120, 30)]
)
def test_a_fast_film_is_thinned_to_what_is_needed(tmp_path, fps, expected):
    path = write_film(tmp_path / "fast.mp4", [split_picture(64, 48)] * fps, fps=fps)
    film = open_film(path)
    assert film.fps == pytest.approx(expected, rel=2e-3)  # the stamps are whole milliseconds
    assert len(list(frames(film))) == pytest.approx(expected, abs=1)


def test_a_varying_rate_becomes_constant(tmp_path):
    times = [0.0, 0.05, 0.1, 0.6, 0.65, 1.0]  # half a second is one picture
    pictures = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(6)]
    film = open_film(write_film(tmp_path / "phone.mp4", pictures, times=times))
    seen = [int(frame.mean()) for frame in frames(film)]
    shown = [
        max(i for i, time in enumerate(times) if time <= k / film.fps + 1e-3)
        for k in range(len(seen))
    ]
    assert np.abs(np.array(seen) - 40 * np.array(shown)).max() < 12
    assert len(seen) == pytest.approx(1.0 * film.fps, abs=1.5)


@pytest.mark.parametrize("codec, pixels", [("libx264", "gray"), ("libx264", "yuv444p10le")])
def test_grey_and_deep_colours_are_read(tmp_path, codec, pixels):
    path = write_film(
        tmp_path / "film.mp4", [split_picture(64, 48)] * 5, codec=codec, pixels=pixels
    )
    assert next(frames(open_film(path))).shape == (48, 64, 3)


def test_a_gif_and_a_folder_of_pictures_are_films(tmp_path):
    pictures = [Image.fromarray(split_picture(64, 48)), Image.new("RGB", (64, 48), BLUE)] * 5
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100)
    film = open_film(tmp_path / "a.gif")
    assert film.fps == pytest.approx(10, rel=0.05)
    assert [colour(frame, 0.2, 0.5) for frame in frames(film)][:4] == ["red", "blue"] * 2
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:03d}.png")
    (folder / "._000.png").write_bytes(b"what macOS notes of a picture on another's disk")
    assert len(list(frames(open_film(folder, fps=10), start=0.5))) == 5
    with pytest.raises(BadInput, match="how many frames a second"):
        open_film(folder)


def test_what_is_left_of_a_truncated_film_is_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), dtype=np.uint8)
    path = write_film(tmp_path / "a.mkv", list(noise), codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 10 < len(list(frames(open_film(path)))) < 50


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"", "not a film"),
        (b"BVH or something else" * 50, "not a film"),
        (None, "no such film"),
    ],
)
def test_no_film_is_one_sentence(tmp_path, content, fault):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"clip\.mp4.*{fault}"):
        open_film(path)


def test_a_film_without_pictures_is_refused(tmp_path):
    path = tmp_path / "song.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BadInput, match="no pictures"):
        open_film(path)


@pytest.mark.parametrize("rotation, first", [(90, "left"), (180, "below"), (-90, "right")])
def test_a_film_of_a_turned_phone_comes_upright(tmp_path, rotation, first):
    path = write_film(tmp_path / "phone.mp4", [split_picture(64, 48)] * 3, rotation=rotation)
    film = open_film(path)
    upright = next(frames(film))
    assert (
        upright.shape[:2]
        == (film.height, film.width)
        == ((48, 64) if first == "below" else (64, 48))
    )
    spot = {"left": (0.5, 0.2), "right": (0.5, 0.8), "below": (0.8, 0.5)}[first]
    assert colour(upright, *spot) == "red"


def test_hdr_is_brought_to_a_common_screen(tmp_path):
    """HDR10's white, 203 cd/m2, is at 58 % of its signal."""
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.codec_context.color_trc = 16
        picture = np.full((48, 64, 3), round(0.58 * 255), np.uint8)
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.color_trc = 16
            container.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        container.mux(stream.encode())
    assert next(frames(open_film(path))).mean() > 245


def patched(path: Path, box: bytes, offset: int, number: int) -> Path:
    """A film one of whose numbers lies."""
    content = bytearray(path.read_bytes())
    place = content.index(box) + 4 + offset
    content[place : place + 4] = number.to_bytes(4, "big")
    path.write_bytes(content)
    return path


def test_rates_that_lie_are_one_sentence_and_lengths_are_not_believed(tmp_path):
    make = lambda name: write_film(tmp_path / name, [split_picture(64, 48)] * 20)
    for scale in (1, 2**31 - 1):
        with pytest.raises(BadInput, match=r"rate\.mp4: says that it has .* frames a second"):
            open_film(patched(make("rate.mp4"), b"mdhd", 12, scale))
    long = open_film(patched(make("length.mp4"), b"mvhd", 16, 2**31 - 1))
    assert len(list(frames(long))) == 20


def test_a_leap_of_stamps_is_not_believed(tmp_path):
    times = [0.0, 0.05, 0.1, 36000.0, 36000.05]
    path = write_film(tmp_path / "a.mkv", [split_picture(64, 48)] * 5, times=times, codec="mpeg4")
    assert len(list(frames(open_film(path)))) == 5


def test_leaps_last_as_long_as_frames_do_before_a_film_is_thinned(tmp_path):
    times = [3600.0 * i for i in range(6)]
    path = write_film(tmp_path / "a.mkv", [split_picture(64, 48)] * 6, times=times, codec="mpeg4")
    # The leaps hide its rate.
    film = dataclasses.replace(open_film(path), fps=25.0, own_fps=50.0)
    assert len(list(frames(film))) == 4


def test_pictures_that_change_size_or_are_none(tmp_path):
    small, wide = Image.new("RGB", (64, 48)), Image.new("RGB", (96, 48))
    film = io.BytesIO()
    for picture in (small, wide, small):
        picture.save(film, "JPEG")
    (tmp_path / "a.mjpeg").write_bytes(film.getvalue())
    for name, second in (("sizes", wide), ("broken", b"no picture")):
        (tmp_path / name).mkdir()
        small.save(tmp_path / name / "0.png")
        if isinstance(second, bytes):
            (tmp_path / name / "1.png").write_bytes(second)
        else:
            second.save(tmp_path / name / "1.png")
    for name, fault in (
        ("a.mjpeg", r"a\.mjpeg: its frames change size"),
        ("sizes", "sizes: its frames change size"),
        ("broken", r"1\.png: not a picture that can be read"),
    ):
        with pytest.raises(BadInput, match=fault):
            list(frames(open_film(tmp_path / name, fps=10)))


def test_pictures_come_in_the_order_of_their_numbers_upright_and_as_bright_as_they_are(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # as phones write that a picture is to be turned right
    for number, grey in ((2, 20), (10, 100), (1, 10)):
        Image.new("RGB", (48, 64), (grey,) * 3).save(tmp_path / f"frame_{number}.png")
    Image.new("RGB", (64, 48), (200,) * 3).save(tmp_path / "frame_11.jpg", exif=turned)
    deep = np.full((64, 48), 150 * 257, np.uint16)
    Image.fromarray(deep).save(tmp_path / "frame_12.png")
    turned[0x0100] = 5  # a width, here said to be of a type that it is not
    damaged = turned.tobytes().replace(b"\x01\x00\x00\x04", b"\x01\x00\x00\x0c")
    Image.new("RGB", (48, 64), (50,) * 3).save(tmp_path / "frame_13.jpg", exif=damaged)
    seen = list(frames(open_film(tmp_path, fps=10)))
    assert [round(float(picture.mean())) for picture in seen] == [10, 20, 100, 200, 150, 50]
    assert {picture.shape for picture in seen} == {(64, 48, 3)}


def test_a_picture_of_too_many_pixels_is_refused_unread(tmp_path):
    """An empty picture of 400 million pixels is a file of 50 kB."""
    Image.new("1", (20_000, 20_000)).save(tmp_path / "0.png")
    with pytest.raises(BadInput, match=r"0\.png: not a picture .*pixels"):
        open_film(tmp_path, fps=10)
