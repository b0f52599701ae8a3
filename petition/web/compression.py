"""Light answers: compressed pages, templates without indentation, minified style and script.

A network that breaks connections after some kilobytes lets through what is small (decision 0020).
"""

import re
from typing import Any

import brotli
import rcssmin
import rjsmin
from django.core.files.base import ContentFile, File
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.template import Origin
from django.template.loaders import filesystem
from django.utils.cache import patch_vary_headers
from whitenoise.storage import CompressedManifestStaticFilesStorage

from petition.web.middleware import in_admin

# An eighth less than gzip in about as much time. 5 takes four fifths of the time, and a hundred bytes more of the home
# page, which are counted; 11 would take another eighth off, and thirty times as long.
QUALITY = 7
SMALLEST_BYTES = 200
MINIFIERS = {".css": rcssmin.cssmin, ".js": rjsmin.jsmin}


def accepted(request: HttpRequest) -> str:
    """The coding that is sent to this browser: "br", "gzip", or "" for none."""
    codings = re.findall(r"\b(br|gzip)\b", request.headers.get("Accept-Encoding", "").lower())
    return min(codings, default="")


class Compression(GZipMiddleware):
    """Brotli for public pages where the browser knows it, else Django's gzip.

    The admin keeps gzip, which Django pads by a random length: its pages hold a secret, their CSRF token.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if (
            accepted(request) != "br"
            or in_admin(request)
            or not isinstance(response, HttpResponse)
            or response.has_header("Content-Encoding")
            or len(response.content) < SMALLEST_BYTES
        ):
            return super().process_response(request, response)
        patch_vary_headers(response, ("Accept-Encoding",))
        compressed = brotli.compress(response.content, mode=brotli.MODE_TEXT, quality=QUALITY)
        if len(compressed) < len(response.content):
            response.content = compressed
            response.headers["Content-Length"] = str(len(compressed))
            response.headers["Content-Encoding"] = "br"
            if response.headers.get("ETag", "").startswith('"'):
                # One page in two codings is the same to a reader, not byte by byte.
                response.headers["ETag"] = f"W/{response.headers['ETag']}"
        return response


class Unindented(filesystem.Loader):
    """Our templates without the indentation that people read them by, a tenth of each page."""

    def get_contents(self, origin: Origin) -> str:
        text = super().get_contents(origin)
        return re.sub(r"\n\s+", "\n", text) if origin.name.endswith(".html") else text


class MinifiedStaticFiles(CompressedManifestStaticFilesStorage):
    """Our own style and script, which lie beside each other in one folder, without comments and blanks."""

    def _save(self, name: str, content: "File[Any]") -> str:
        minify = MINIFIERS.get(name[name.rfind(".") :])
        if minify and "/" not in name:
            content.seek(0)
            content = ContentFile(minify(content.read().decode()).encode())
        saved: str = super()._save(name, content)
        return saved
