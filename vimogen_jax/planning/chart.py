"""Plans as pictures: memory against the device's and least times; of a sweep, what is reached."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from vimogen_jax.planning.hardware import Machine
from vimogen_jax.planning.plan import Row
from vimogen_jax.planning.report import GB
from vimogen_jax.planning.sweep import Planned

WIDTH, MARGIN, LABELS, GAP, BAR, LINE = 1200, 24, 150, 60, 44, 22
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb")  # Tol
INK, LIMIT = "#222222", "#cc3311"
TEMPORARIES = "temporaries"


def draw(title: str, machine: Machine, rows: Sequence[Row]) -> Image.Image:
    """Two panels of bars, a line a strategy: memory in GB, stacked; least times in ms, apart."""
    image = Image.new("RGB", (WIDTH, 150 + BAR * len(rows) + MARGIN), "white")
    canvas = ImageDraw.Draw(image)
    canvas.text((MARGIN, 16), title, INK, _font(20))
    panel = (WIDTH - LABELS - 2 * MARGIN - GAP) / 2
    left, right = MARGIN + LABELS, MARGIN + LABELS + panel + GAP
    for number, row in enumerate(rows):
        canvas.text((MARGIN, _top(number) + 6), row.strategy, INK, _font(15))

    memory = [_memory(row) for row in rows]
    limit = machine.chip.memory / GB
    longest = max([sum(parts.values()) for parts in memory], default=0.0)
    shown = max(longest, limit) if limit < 20 * longest else longest
    _heading(canvas, left, "memory of a device, GB", _colours(memory))
    for number, (row, parts) in enumerate(zip(rows, memory, strict=True)):
        end = _stack(canvas, left, number, parts, _colours(memory), 0.85 * panel / (shown or 1))
        note = f"{sum(parts.values()):.1f}" + ("" if row.fits(machine.chip) else ", does not fit")
        canvas.text((end + 6, _top(number) + 7), note, INK, _font(14))
    if limit <= shown:
        x = left + limit * 0.85 * panel / shown
        bottom = _top(len(rows)) - 8
        canvas.line([(x, _top(0) - 6), (x, bottom)], LIMIT, 2)
        canvas.text((x - 24, bottom + 2), f"{limit:.1f} GB", LIMIT, _font(14))

    times = [{name: 1e3 * value for name, value in row.seconds.items()} for row in rows]
    slowest = max([value for parts in times for value in parts.values()], default=0.0)
    _heading(canvas, right, "least time of a step, ms", _colours(times))
    for number, parts in enumerate(times):
        for bar, (name, value) in enumerate(parts.items()):
            top = _top(number) + bar * 10
            end = right + value * 0.85 * panel / slowest
            canvas.rectangle([right, top, end, top + 8], _colours(times)[name])
            if value == max(parts.values()):
                canvas.text((end + 6, top - 4), f"{value:.0f}", INK, _font(14))
    return image


def draw_sweep(plans: Sequence[Planned]) -> Image.Image:
    """A bar a plan: motions a second at most, coloured by what binds."""
    names = [
        f"{one.machine} {one.strategy}, {one.remat}, batch {one.batch} in {one.accumulate}"
        for one in plans
    ]
    image = Image.new("RGB", (WIDTH, 120 + LINE * len(plans) + MARGIN), "white")
    canvas = ImageDraw.Draw(image)
    left = MARGIN + GAP + max([canvas.textlength(name, _font(14)) for name in names], default=0)
    bounds = _colours([{one.bound or "": 0.0} for one in plans if one.bound])
    _heading(canvas, MARGIN, "motions a second at most, by what binds", bounds)
    fastest = max([one.motions_per_second or 0.0 for one in plans if one.fits], default=0.0)
    scale = (WIDTH - left - MARGIN - 2 * GAP) / (fastest or 1.0)
    for number, (name, one) in enumerate(zip(names, plans, strict=True)):
        top = 116 + LINE * number
        canvas.text((MARGIN, top), name, INK, _font(14))
        end = left
        if one.fits and one.motions_per_second:
            end = left + one.motions_per_second * scale
            canvas.rectangle([left, top + 2, end, top + LINE - 6], bounds[one.bound or ""])
        note = f"{one.motions_per_second or 0:,.0f}" if one.fits else "does not fit"
        canvas.text((end + 6, top), note, INK, _font(14))
    return image


def _memory(row: Row) -> dict[str, float]:
    """In GB, what is large enough to be seen."""
    parts = {name: size / GB for name, size in row.inputs.items() if size}
    if row.temporaries is not None:
        parts[TEMPORARIES] = row.temporaries / GB
    return parts


def _colours(bars: Sequence[Mapping[str, float]]) -> dict[str, str]:
    names = dict.fromkeys(name for parts in bars for name in parts)
    return dict(zip(names, COLOURS, strict=False))


def _heading(canvas: ImageDraw.ImageDraw, x: float, text: str, colours: Mapping[str, str]) -> None:
    canvas.text((x, 52), text, INK, _font(16))
    for name, colour in colours.items():
        canvas.rectangle([x, 84, x + 11, 95], colour)
        canvas.text((x + 16, 81), name, INK, _font(14))
        x += 30 + canvas.textlength(name, _font(14))


def _stack(
    canvas: ImageDraw.ImageDraw,
    x: float,
    number: int,
    parts: Mapping[str, float],
    colours: Mapping[str, str],
    scale: float,
) -> float:
    """Draw a bar of parts one behind the other; returns where it ends."""
    for name, value in parts.items():
        canvas.rectangle([x, _top(number), x + value * scale, _top(number) + 28], colours[name])
        x += value * scale
    return x


def _top(number: int) -> float:
    return 116 + BAR * number


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
