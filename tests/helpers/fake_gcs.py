"""Google Cloud Storage on a local folder, for epath and, by HTTP, for TensorStore.

Buckets are folders, and objects files. Of the JSON interface there is what TensorStore uses.
"""

import http.server
import itertools
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

_numbers = itertools.count(1)


def file_system(root: Path) -> type[DirFileSystem]:
    """What epath would take from gcsfs."""

    class Files(DirFileSystem):
        cachable = False

        def __init__(self, **_):
            super().__init__(path=str(root), fs=LocalFileSystem(auto_mkdir=True))

        def _join(self, path):
            return super()._join(path.removeprefix("gs://") if isinstance(path, str) else path)

        def rename(self, path, target, **_):
            self.mv(path, target)

    return Files


@contextmanager
def serving(root: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server in a thread of its own, on a free port, for as long as the context lasts."""

    class Handler(_Handler):
        folder, generations = root, {}

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    generations: dict[Path, int]

    def log_message(self, *_):
        pass

    def do_GET(self):
        bucket, path, query = self._asked()
        if path == bucket:
            names = sorted(str(p.relative_to(bucket)) for p in bucket.rglob("*") if p.is_file())
            first, end = query.get("startOffset", ""), query.get("endOffset", "\U0010ffff")
            found = [self._about(bucket, bucket / name) for name in names if first <= name < end]
            self._answer(200, json.dumps(dict(items=found)).encode())
        elif not path.is_file():
            self._answer(404)
        elif query.get("alt") == "media":
            self._answer_part(path)
        else:
            self._answer(200, json.dumps(self._about(bucket, path)).encode())

    def do_POST(self):
        bucket, _, query = self._asked()
        path = bucket / query["name"]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        wanted = query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != self._generation(path):
            self._answer(412)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.generations[path] = next(_numbers)
        self._answer(200, json.dumps(self._about(bucket, path)).encode())

    def do_DELETE(self):
        self._asked()[1].unlink(missing_ok=True)
        self._answer(204)

    def _asked(self):
        """The folder of the bucket, the path of the object (or the bucket) and the query."""
        url = urllib.parse.urlsplit(self.path)
        _, _, rest = url.path.partition("/b/")
        bucket, _, name = rest.partition("/o")
        folder = self.folder / bucket
        path = folder / urllib.parse.unquote(name[1:])
        return folder, path, dict(urllib.parse.parse_qsl(url.query))

    def _generation(self, path):
        return self.generations.setdefault(path, next(_numbers)) if path.is_file() else 0

    def _about(self, bucket, path):
        size, generation = path.stat().st_size, self._generation(path)
        name = str(path.relative_to(bucket))
        return dict(name=name, size=str(size), generation=str(generation))

    def _answer_part(self, path):
        data, headers = path.read_bytes(), {"x-goog-generation": str(self._generation(path))}
        if span := self.headers.get("Range"):
            first, _, last = span.removeprefix("bytes=").partition("-")
            begin = int(first) if first else len(data) - int(last)
            end = min(int(last) + 1, len(data)) if first and last else len(data)
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(data)}"
            self._answer(206, data[begin:end], headers)
        else:
            self._answer(200, data, headers)

    def _answer(self, status, data=b"", headers=()):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
