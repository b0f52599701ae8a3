"""What reaches a log carries no address, IP, name, path or token."""

import logging
import traceback
from types import TracebackType


class Private(logging.Filter):
    """Rewrite the messages of Django that quote what a visitor sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security"):
            # Anyone can cause these, so they get no traceback to fill the log with.
            record.msg, record.args, record.exc_info = "refused", (), None
        elif request := getattr(record, "request", None):
            match = getattr(request, "resolver_match", None)
            route = match.view_name if match else "no route"
            record.msg, record.args = "%s %s %s", (getattr(record, "status_code", ""), request.method, route)
        return True


class PrivateFormatter(logging.Formatter):
    """Tracebacks with places and types only: the text of an exception may quote a value."""

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
