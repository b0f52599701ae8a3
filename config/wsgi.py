import os
from typing import Any

import django
from django.conf import settings
from django.core import checks
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.management.base import SystemCheckError

from petition.web.loopback import is_loopback

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Request(WSGIRequest):
    """Django reads the content type before any middleware could turn away one that it cannot read."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # unknown to the stubs
        except (ValueError, TypeError, LookupError):
            # The middleware `refusals` answers this charset with 400.
            self.content_type, self.content_params = "", {"charset": "unreadable"}


class Handler(WSGIHandler):
    request_class = Request

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        # The check of the bind address cannot see a server's own command line.
        if settings.LOCAL and environ.get("REMOTE_ADDR") and not is_loopback(environ["REMOTE_ADDR"]):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"This is a trial run for its own machine alone."]
        return super().__call__(environ, start_response)


django.setup(set_prefix=False)
application = Handler()

# `manage.py` commands check the configuration before they start; a server started by its own command must too.
if errors := [message for message in checks.run_checks(databases=["default"]) if message.is_serious(checks.ERROR)]:
    raise SystemCheckError("\n".join(str(error) for error in errors))
