"""The studio's pages and what they ask for, over HTTP.

Nothing is read from disk by a name that came over the network: motions and films are looked up
among the visitor's own. A page of another site can neither read nor change anything: the Host, the
Origin and where a request comes from are looked at before anything else.
"""

import base64
import functools
import hashlib
import html
import json
import math
import re
import secrets
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.directing.constraints import (
    Constraint,
    Keep,
    Pose,
    from_json,
    marks,
    pose_of,
    to_json,
)
from vimogen_jax.errors import BadInput
from vimogen_jax.files import parse_json
from vimogen_jax.generator import check_prompt
from vimogen_jax.mocap.film import FILMS
from vimogen_jax.studio import hints
from vimogen_jax.studio.queue import Full, Job, Made, Queue, Visitor
from vimogen_jax.studio.work import Settings, Workshop
from vimogen_jax.viewer.page import Card, page, scene_motion

ENDINGS = {
    "glb": "model/gltf-binary",
    "bvh": "text/plain",
    "npz": "application/octet-stream",
    "mp4": "video/mp4",
}
LARGEST_FORM, LARGEST_FILM = 2**16, 2**28  # bytes
FILMS_AT_ONCE = 4  # that are sent to the studio
_COOKIE, _PASS = "studio_visitor", "studio_token"


def application(
    workshop: Workshop, hosts: Sequence[str], token: str | None, folder: Path
) -> Starlette:
    """The studio as an ASGI application.

    Args:
        hosts: what browsers may call it, such as "127.0.0.1:8000"; with a token, anything.
        token: what whoever opens the page must know; None where only this machine reaches it.
        folder: an empty one, for films while they are shown.
    """
    studio = _Studio(workshop, folder)
    routes = [
        Route("/", studio.page),
        Route("/state", studio.state),
        Route("/near", studio.near),
        Route("/jobs", studio.ask, methods=["POST"]),
        Route("/films", studio.take_film, methods=["POST"]),
        Route("/jobs/{name}", studio.cancel, methods=["DELETE"]),
        Route("/motions/{name}", studio.motion, methods=["GET"]),
        Route("/motions/{name}", studio.keep, methods=["PUT"]),
        Route("/motions/{name}", studio.remove, methods=["DELETE"]),
        Route("/motions/{name}/film", studio.film),
        Route("/motions/{name}/pose", studio.pose),
        Route("/motions/{name}/{ending}", studio.file),
    ]
    guard = Middleware(_Guard, hosts=hosts, token=token, policy=studio.policy)
    handlers = {BadInput: _refused, HTTPException: _told}
    return Starlette(routes=routes, middleware=[guard], exception_handlers=handlers)


class _Studio:
    """The endpoints, a method each."""

    def __init__(self, workshop: Workshop, folder: Path):
        self._workshop, self._folder, self._queue = workshop, folder, Queue()
        self._page, self.policy = _whole_page(list(workshop.generators))
        self._writing, self._comparing = anyio.CapacityLimiter(2), anyio.CapacityLimiter(1)
        self._arriving = 0

    async def page(self, request: Request) -> Response:
        name = request.cookies.get(_COOKIE, "")
        answer = HTMLResponse(self._page)
        if self._queue.visitor(name) is None:
            answer.set_cookie(_COOKIE, self._queue.enter(), httponly=True, samesite="strict")
        return answer

    async def state(self, request: Request) -> Response:
        return JSONResponse(self._queue.state(self._visitor(request)))

    async def near(self, request: Request) -> Response:
        """The nearest captions of a sentence that lies far from all; none where it does not."""
        self._visitor(request)
        sentence = check_prompt(request.query_params.get("sentence", ""), "the sentence")
        if "small" not in self._workshop.generators:  # the captions are those that it learnt
            return JSONResponse([])
        look = functools.partial(hints.nearest, sentence)
        cosine, captions = await anyio.to_thread.run_sync(look, limiter=self._comparing)
        return JSONResponse(captions if cosine < hints.NEAR else [])

    async def ask(self, request: Request) -> Response:
        """Put a job into the queue: of sentences, or of one of the visitor's motions, to refine or
        to compare with a sentence."""
        visitor = self._visitor(request)
        self._queue.require_room(visitor)
        form = await _form(request)
        settings = Settings.each(form, list(self._workshop.generators))
        if "reference" in form:
            motion = _own(visitor, str(form["reference"])).animation
            if "sentence" in form:
                job = self._workshop.compared(form["sentence"], motion, settings)
            else:
                job = self._workshop.reference(motion, settings)
        else:
            job = self._of_sentences(form, settings)
        self._queue.put(visitor, job)
        return JSONResponse({"id": job.id}, 202)

    def _of_sentences(self, form: dict[str, Any], settings: Sequence[Settings]) -> Job:
        sentences, constraints = form.get("sentences"), _constraints(form)
        if not isinstance(sentences, list):
            raise BadInput("sentences must be a list of them")
        if form.get("in_a_row") is not True or len(sentences) < 2:
            return self._workshop.sentences(sentences, settings, constraints)
        lengths = settings[0].lengths(form, len(sentences))
        return self._workshop.story(sentences, lengths, settings, constraints)

    async def take_film(self, request: Request) -> Response:
        """Take a film, whose bytes are the body, and put a job into the queue that reads it."""
        visitor = self._visitor(request)
        self._queue.require_room(visitor)
        name = Path(request.query_params.get("name", "")).name[:80]
        if (suffix := Path(name).suffix.lower()) not in FILMS:
            raise BadInput(f"a film ends in one of {', '.join(FILMS)}")
        (settings,) = Settings.each({}, list(self._workshop.generators))
        if self._arriving >= FILMS_AT_ONCE:
            raise Full(f"{FILMS_AT_ONCE} films are on their way already: try again later")
        path = self._folder / f"{secrets.token_hex(8)}{suffix}"
        self._arriving += 1
        try:
            await _save(request, path)
            job = self._workshop.film(path, name, settings)
            self._queue.put(visitor, job)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._arriving -= 1
        return JSONResponse({"id": job.id}, 202)

    async def cancel(self, request: Request) -> Response:
        visitor, name = self._visitor(request), request.path_params["name"]
        for job in visitor.jobs:
            if job.id == name:
                self._queue.cancel(job)
                return Response(status_code=204)
        raise HTTPException(404, "there is no such job")

    async def motion(self, request: Request) -> Response:
        made = _own(self._visitor(request), request.path_params["name"])
        describe = functools.partial(_described, made)
        return JSONResponse(await anyio.to_thread.run_sync(describe, limiter=self._writing))

    async def keep(self, request: Request) -> Response:
        made = _own(self._visitor(request), request.path_params["name"])
        made.kept = (await _form(request)).get("kept") is True
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        self._queue.remove(self._visitor(request), request.path_params["name"])
        return Response(status_code=204)

    async def film(self, request: Request) -> Response:
        made = _own(self._visitor(request), request.path_params["name"])
        if made.film is None:
            raise HTTPException(404, "it was read from no film")
        return FileResponse(made.film, media_type="video/mp4")

    async def pose(self, request: Request) -> Response:
        """The pose of a motion `at` a second of its own, as a constraint for another at `time`."""
        made = _own(self._visitor(request), request.path_params["name"])
        said = [request.query_params.get(name, "") for name in ("at", "time")]
        try:
            at, time = map(float, said)
        except ValueError:
            at = time = math.nan
        if not (math.isfinite(at) and math.isfinite(time)):
            raise BadInput("at and time are seconds")
        return JSONResponse(to_json([pose_of(made.animation, at, time)])["constraints"][0])

    async def file(self, request: Request) -> Response:
        """A motion, or what it was to meet, as a file to download."""
        made = _own(self._visitor(request), request.path_params["name"])
        if (ending := request.path_params["ending"]) not in _endings(made):
            raise HTTPException(404, "there is no such file")
        write = functools.partial(_written, made, ending)
        content = await anyio.to_thread.run_sync(write, limiter=self._writing)
        name = quote(f"{_words(made.animation.caption)}.{ending}")
        saved = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        return Response(content, media_type=_endings(made)[ending], headers=saved)

    def _visitor(self, request: Request) -> Visitor:
        found = self._queue.visitor(request.cookies.get(_COOKIE, ""))
        if found is None:
            raise HTTPException(403, "open the studio's page first")
        return found


class _Guard:
    """Lets in what comes from the studio's own page, and what a person opens in a browser."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], token: str | None, policy: str):
        self._app, self._hosts, self._token = app, {*hosts}, token
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        answer = self._answer(HTTPConnection(scope), scope["method"]) or self._app
        return await answer(scope, receive, send_guarded)

    def _answer(self, request: HTTPConnection, method: str) -> Response | None:
        """What to answer in place of the application; nothing where the request may pass."""
        host, origin = (request.headers.get(name) for name in ("host", "origin"))
        if self._token is None and host not in self._hosts:
            return JSONResponse({"fault": "the studio goes by another name"}, 403)
        if origin is not None and origin.partition("://")[2] != host:
            return JSONResponse({"fault": "another site's page asks"}, 403)
        opened = method == "GET" and request.url.path == "/"
        ours = request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        if not ours and not (opened and request.headers.get("sec-fetch-mode") == "navigate"):
            return JSONResponse({"fault": "another site's page asks"}, 403)
        if self._token is None:
            return None
        if _same(request.cookies.get(_PASS, ""), self._token):
            return None
        if opened and _same(request.query_params.get("token", ""), self._token):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(_PASS, self._token, httponly=True, samesite="strict")
            return answer
        return JSONResponse({"fault": "open the address with the token that was printed"}, 403)


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())


def _whole_page(models: Sequence[str]) -> tuple[str, str]:
    """The page, the same for everybody, and the policy that lets it run its own scripts."""
    assets = resources.files("vimogen_jax.studio") / "assets"
    form = (assets / "studio.html").read_text(encoding="utf-8")
    boxes = "".join(map(_box, models))
    script = (assets / "studio.js").read_text(encoding="utf-8")
    whole = page([], header=form.replace("$models", boxes))
    whole = whole.replace("</body>", f"<script>{script}</script>\n</body>")
    scripts = re.findall(r"<script>(.*?)</script>", whole, re.DOTALL)
    sums = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in sums)
    policy = (
        f"default-src 'none'; script-src {allowed}; "
        "style-src 'unsafe-inline'; img-src data:; media-src 'self'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    return whole, policy


def _box(model: str) -> str:
    """A model to choose."""
    name = html.escape(model)
    return f'<label><input type="checkbox" name="model" value="{name}"> {name}</label>'


def _own(visitor: Visitor, name: str) -> Made:
    if (made := visitor.motions.get(name)) is None:
        raise HTTPException(404, "there is no such motion")
    return made


async def _form(request: Request) -> dict[str, Any]:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST_FORM:
            raise BadInput("that is more than can be asked for at once")
    form = parse_json(content.decode("utf-8", "replace"))
    if not isinstance(form, dict):
        raise BadInput("what is asked for must be an object of JSON")
    return form


async def _save(request: Request, path: Path) -> None:
    """Write what is sent to a file; raises BadInput where that is too much."""
    size = 0
    try:
        async with await anyio.open_file(path, "wb") as file:
            async for part in request.stream():
                size += len(part)
                if size > LARGEST_FILM:
                    raise BadInput(f"a film may have at most {LARGEST_FILM >> 20} MB")
                await file.write(part)
    except ClientDisconnect:
        raise BadInput("the film did not arrive as a whole") from None


def _described(made: Made) -> dict[str, Any]:
    """A motion as the page takes it."""
    motion = made.animation
    seen = marks(made.constraints) if made.constraints else None
    card = Card(motion.caption, motion, made.facts, filmed=made.filmed, marks=seen)
    size = made.filmed.size if made.filmed else None
    length = f"{motion.seconds:.1f} s, {motion.num_frames} frames at {motion.fps:g} a second"
    return dict(
        id=made.id,
        title=motion.caption,
        facts=f"{made.facts}, {length}",
        command=made.command,
        kept=made.kept,
        endings=list(_endings(made)),
        film=size,
        scene=scene_motion(card, builtin_body()),
    )


def _endings(made: Made) -> dict[str, str]:
    """The files that a motion can be had as, with what they are."""
    return ENDINGS | ({"json": "application/json"} if made.constraints else {})


def _constraints(form: dict[str, Any]) -> list[Constraint]:
    """Those of a form, which name no file: none of this machine is read for whoever asks."""
    given = form.get("constraints")
    if not given:
        return []
    found = from_json({"constraints": given}, "what is wanted")
    if any(isinstance(each, Pose | Keep) and each.file for each in found):
        raise BadInput(
            "constraints that name a file are for launch.sample: take a pose of a motion"
        )
    return found


def _written(made: Made, ending: str) -> bytes:
    if ending == "json":
        return json.dumps(to_json(made.constraints), indent=1).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"motion.{ending}")
        try:
            made.animation.save(path)
        except ImportError as fault:  # films need an extra
            raise BadInput(fault) from None
        return path.read_bytes()


def _words(caption: str) -> str:
    """A file's name of a caption's letters and digits."""
    return "-".join(re.findall(r"\w+", caption))[:60] or "motion"


def _refused(request: Request, fault: Exception) -> Response:
    if isinstance(fault, Full):
        return JSONResponse({"fault": str(fault)}, 429, {"Retry-After": "10"})
    return JSONResponse({"fault": str(fault)}, 400)


def _told(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    return JSONResponse({"fault": fault.detail}, fault.status_code)
