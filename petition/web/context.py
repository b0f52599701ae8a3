from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language, get_language_info

from petition import organisation


def site(request: HttpRequest) -> dict[str, object]:
    """What the frame of every page needs: where we are, and the same page in the other languages."""
    language = get_language() or settings.LANGUAGE_CODE
    path = request.path_info
    prefix = f"/{language}/"
    rest = path.removeprefix(prefix) if path.startswith(prefix) else ""
    return {
        "site_url": settings.SITE_URL,
        "canonical_url": settings.SITE_URL + path,
        "organisation": organisation.shown(),
        "exit_url": settings.EXIT_URL,
        "local": settings.LOCAL,
        "languages": [
            {
                "code": code,
                "name": get_language_info(code)["name_local"].capitalize(),
                "path": f"/{code}/{rest}",
                "url": f"{settings.SITE_URL}/{code}/{rest}",
                "current": code == language,
            }
            for code, _name in settings.LANGUAGES
        ],
    }
