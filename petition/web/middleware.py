"""What every request and answer gets, in the order of `settings.MIDDLEWARE`."""

import re
from collections.abc import Callable

from csp.utils import build_policy
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.encoding import escape_uri_path
from django.utils.translation import get_language_from_path, get_language_from_request

from petition.postgres import timeouts
from petition.web import errors

View = Callable[[HttpRequest], HttpResponse]

# What Python's parser of headers raises, beside what it means to, for parameters that nobody can read.
UNREADABLE = (ValueError, TypeError, LookupError)
LENGTH = re.compile(r"[0-9]{1,20}\Z")
# The one page that other sites may put into a frame.
FRAMED = "petition:embed"
PERMISSIONS_POLICY = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"


def database_timeouts(get_response: View) -> View:
    """Let nobody wait for a database that hangs. Staff, whose questions are larger, wait longer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with timeouts.limited(timeouts.STAFF_SECONDS if in_admin(request) else timeouts.VISITOR_SECONDS):
            return get_response(request)

    return middleware


def headers(get_response: View) -> View:
    """Add the security headers that Django has no setting for."""
    # The middleware of django-csp would word the same policy anew for each answer, a fifth of a light one's time.
    always = {"Permissions-Policy": PERMISSIONS_POLICY, "Content-Security-Policy": build_policy()}
    if settings.SITE_URL.startswith("https://"):
        # Not left to SecurityMiddleware: behind nginx it cannot see that the visitor came over https.
        always["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for name, value in always.items():
            response[name] = value
        if response.status_code in (200, 304) and request.resolver_match and request.resolver_match.view_name == FRAMED:
            # Here and not in the view: its policy would be lost on a 304, whose own would then replace it in a browser.
            policy = response.headers.get("Content-Security-Policy", "")
            response["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", "frame-ancestors *")
        # A 304 speaks for what a browser holds, and would change the policy of the live number there.
        if response.status_code != 304:
            response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if in_admin(request):
            # Django's CSRF check reads the referrer and the origin; under no-referrer no one could log in.
            response["Referrer-Policy"] = "same-origin"
            response.headers.setdefault("Cache-Control", "no-store, private")
        elif settings.ONION_URL:
            # Escaped again: a path may hold a line break, which would end the header.
            response["Onion-Location"] = settings.ONION_URL + escape_uri_path(request.path)
        return response

    return middleware


def language_from_path(get_response: View) -> View:
    """Speak the language of the URL; elsewhere (admin, unknown paths) the one the browser asks for.

    Unlike Django's LocaleMiddleware it never varies a public answer: a URL has one language.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        language = get_language_from_path(request.path_info)
        if not language:
            asked = get_language_from_request(request)
            # What is read here, the admin above all, is not translated into the others.
            language = asked if asked in settings.COMPLETE_LANGUAGES else settings.LANGUAGE_CODE
        with translation.override(language):
            request.LANGUAGE_CODE = language
            response = get_response(request)
        # An account may have chosen another one for the admin.
        response.headers.setdefault("Content-Language", request.LANGUAGE_CODE)
        return response

    return middleware


class StaffSessions(SessionMiddleware):
    """Sessions for the admin alone: a public answer sets no cookie, not even to delete a broken one."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return super().process_response(request, response) if in_admin(request) else response


class refusals:  # noqa: N801  (a middleware named like its siblings)
    """Turn away what no view should see, and dress what went wrong in a page that says what to do."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_unreadable(request):
            return errors.page(request, 400)
        if not in_admin(request):
            if too_large(request):
                return errors.page(request, 413)
            if request.method not in ("GET", "HEAD", "OPTIONS") and from_another_site(request):
                return errors.page(request, 403)
            if request.method == "POST" and not is_whole_form(request):
                return errors.page(request, 400)
        response = self.get_response(request)
        if response.status_code == 405 and not response.content:
            page = errors.page(request, 405)
            page["Allow"] = response["Allow"]
            return page
        if response.status_code >= 400 and "Cache-Control" not in response:
            add_never_cache_headers(response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, OperationalError | InterfaceError):
            # The database is away or full: a passing state that a visitor can wait for.
            return errors.page(request, 503)
        return None


def in_admin(request: HttpRequest) -> bool:
    return request.path_info.startswith(f"/{settings.ADMIN_PATH}/")


def is_unreadable(request: HttpRequest) -> bool:
    """Whether the body claims a length that is no number, or a charset in which Django would fail to read it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    charset = (request.content_params or {}).get("charset", "utf-8")
    return not LENGTH.match(length) or charset.lower() != "utf-8"


def too_large(request: HttpRequest) -> bool:
    return int(request.META.get("CONTENT_LENGTH") or "0") > settings.MAX_BODY_BYTES


def is_whole_form(request: HttpRequest) -> bool:
    """Whether the form has arrived to its end and can be parsed: half an address may be somebody else's."""
    try:
        return len(request.body) == int(request.META.get("CONTENT_LENGTH") or "0") and request.POST is not None
    except (UnreadablePostError, *UNREADABLE):
        return False


def from_another_site(request: HttpRequest) -> bool:
    """Whether a browser says that a foreign page made it send this.

    Browsers send `Origin: null` for our own forms under `no-referrer`, so null passes; `Sec-Fetch-Site` tells the rest.
    """
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return True
    host = request.get_host()
    ours = ("null", settings.SITE_URL, settings.ONION_URL, f"https://{host}", f"http://{host}")
    return request.headers.get("Origin", "null") not in ours
