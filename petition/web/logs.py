"""What reaches a log carries no address, IP, name, path or token."""

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType

from petition.web import request_ids


class Private(logging.Filter):
    """Rewrite the messages of Django that quote what a visitor sent, and add the id of the request."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Django logs an answer when its middleware has ended, and hands on the request.
        about = getattr(record, "request", None)
        record.request_id = request_ids.of(about) if about else request_ids.current()
        if record.name.startswith("django.security"):
            # Anyone can cause these, so they get no traceback to fill the log with.
            record.msg, record.args, record.exc_info = "refused", (), None
        elif about:
            match = getattr(about, "resolver_match", None)
            route = match.view_name if match else "no route"
            record.msg, record.args = "%s %s %s", (getattr(record, "status_code", ""), about.method, route)
        return True


class PrivateFormatter(logging.Formatter):
    """Tracebacks with places and types only: the text of an exception may quote a value."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        request_id = getattr(record, "request_id", "")
        return super().formatMessage(record) + (f" ({request_id})" if request_id else "")

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        _kind, error, _traceback = ei
        lines: list[str] = []
        while error is not None:
            places = traceback.extract_tb(error.__traceback__)
            lines = [f"{type(error).__qualname__} at", *(f"  {p.filename}:{p.lineno} {p.name}" for p in places), *lines]
            error = error.__cause__ or error.__context__
        return "\n".join(lines)


class JsonFormatter(PrivateFormatter):
    """One line of JSON for each record, for programs that read logs. A traceback is text in it, without line breaks."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "said": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", ""):
            line["request"] = request_id
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)
