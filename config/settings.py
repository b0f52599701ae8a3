"""The one settings file: the environment decides.

LOCAL=1, set by the Makefile alone, is a trial on one machine. Without it every secret comes from the environment, and
the checks in `petition/checks/` refuse to start without them.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from config.local import postgres

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
LOCAL = env.bool("LOCAL", False)
VAR_DIR = Path(env.str("VAR_DIR", str(BASE_DIR / "var")))
IS_WORKER = sys.argv[1:2] == ["worker"]
if LOCAL:
    env.read_env(VAR_DIR / "local.env")
    if IS_WORKER:
        # As in production, only the worker can tell one address from another.
        env.read_env(VAR_DIR / "worker.env")
else:
    env.read_env(BASE_DIR / ".env")


def from_url(read: Callable[..., dict[str, Any]], name: str, **options: Any) -> dict[str, Any]:
    """What a URL in the environment says. Nothing if it cannot be read: a traceback would quote the password in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # so would these
            return read(name, **options)
    except (ValueError, ImproperlyConfigured):
        return {}


# Who we are. An empty value is reported by a system check, which says what to set, rather than by a traceback here.
SITE_URL = env.str("SITE_URL", "http://127.0.0.1:8000" if LOCAL else "").rstrip("/")
SITE_HOST = urlsplit(SITE_URL).hostname or ""
ONION_URL = env.str("ONION_URL", "").rstrip("/")
BIND_ADDRESS = env.str("GRANIAN_HOST", "127.0.0.1")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"] if LOCAL else [])
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
ADMIN_PATH = env.str("ADMIN_PATH", "admin").strip("/")
# Whose campaign it is: `petition.organisation` says what each is for. What is empty is not shown; a trial has examples.
EXAMPLES = {
    "CONTACT_EMAIL": "contact@example.org",
    "CONTROLLER": "Example Organisation, 1 Example Street, Example City",
    "DONATE_URL": "https://donate.example.org/",
    "HOSTING_COUNTRY": "IS",
    "SUPERVISORY_AUTHORITY": "https://authority.example.org/",
}
example = EXAMPLES if LOCAL else dict.fromkeys(EXAMPLES, "")
CONTACT_EMAIL = env.str("CONTACT_EMAIL", example["CONTACT_EMAIL"])
CONTROLLER = env.str("CONTROLLER", example["CONTROLLER"])
DONATE_URL = env.str("DONATE_URL", example["DONATE_URL"])
HOSTING_COUNTRY = env.str("HOSTING_COUNTRY", example["HOSTING_COUNTRY"])
SUPERVISORY_AUTHORITY = env.str("SUPERVISORY_AUTHORITY", example["SUPERVISORY_AUTHORITY"])
ORGANISATION_URL = env.str("ORGANISATION_URL", "") or "https://lgbtnet.org/"
LEGAL_BASIS = env.str("LEGAL_BASIS", "") or "GDPR, Art. 6 (1) (a), Art. 9 (2) (a)"
# Where the button "Leave this site" leads: a site that nobody needs to explain.
EXIT_URL = env.str("EXIT_URL", "") or "https://www.wikipedia.org/"

# Secrets.
DEBUG = False
SECRET_KEY = env.str("SECRET_KEY", "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# Of the worker alone.
EMAIL_DIGEST_KEY = env.str("EMAIL_DIGEST_KEY", "")
OUTBOX_KEYS_DIR = env.str("OUTBOX_KEYS_DIR", str(VAR_DIR / "outbox-keys") if LOCAL else "")
# Where the worker writes the withdrawals that a restored backup has to repeat.
WITHDRAWN_LIST = env.str("WITHDRAWN_LIST", str(VAR_DIR / "withdrawals" / "list") if LOCAL else "")

# Numbers that operators choose. A rate is "count/period": s, m, h or d.
RATE_PER_NETWORK = env.str("RATE_PER_NETWORK", "300/h")
BURST_PER_NETWORK = env.str("BURST_PER_NETWORK", "30/m")
MAILS_PER_ADDRESS = env.str("MAILS_PER_ADDRESS", "5/d")
HOLD_PER_NETWORK = env.str("HOLD_PER_NETWORK", "200/h")
# Staff are told that work waits: where, from how many of one kind on, and after how many hours.
NOTIFY_EMAIL = env.str("NOTIFY_EMAIL", "")
NOTIFY_URL = env.str("NOTIFY_URL", "")
NOTIFY_COUNT = env.str("NOTIFY_COUNT", "50")
NOTIFY_HOURS = env.str("NOTIFY_HOURS", "4")
CAMPAIGN_SHARE = env.str("CAMPAIGN_SHARE", "5")
NAMES_PER_HOUR = env.str("NAMES_PER_HOUR", "1000")
# The public number moves in steps of so many and more: in a trial with each signature.
COUNT_STEP = env.str("COUNT_STEP", "1" if LOCAL else "10")
CODE_TRIES = "5/h"  # for each network
CODE_ERRORS = "500/h"  # for the whole site
DASHBOARD_RATE = "60/m"  # for each token
CONFIRMATION_DAYS = 7
GRACE_HOURS = 24  # confirming works this long after a petition closed
QUIET_DAYS = 30  # how long an address that said "I did not sign this" gets no mail
ABUSE_SIGNAL_DAYS = 30
PARKED_MAIL_DAYS = 6
BACKUP_DAYS = env.int("BACKUP_DAYS", 14)  # how old the oldest backup is
# Backups: the public half of the offline key, the folder, and a command that gets the path of each new one.
BACKUP_KEY = env.str("BACKUP_KEY", "")
BACKUP_DIR = env.str("BACKUP_DIR", str(VAR_DIR / "backups") if LOCAL else "")
BACKUP_HOOK = env.str("BACKUP_HOOK", "")
# The public half of the offline key to which the addresses of the mailing list are sealed; without it there is none.
MAILING_LIST_KEY = env.str("MAILING_LIST_KEY", "")
MAILING_LIST_WAITS = not LOCAL  # for the end of the week in which somebody came, before she is exported
SUBSCRIPTION_DAYS = 730  # nobody stays on it longer without asking again
# Where pg_dump and pg_restore are, if not where Debian puts them.
POSTGRES_BIN_DIR = env.str("POSTGRES_BIN_DIR", postgres.binaries() if LOCAL else "")
MAIL_SHUFFLE_SECONDS = 0 if LOCAL else 60  # a mail is due within so many seconds, at random
REVIEW_DAYS = 30  # what nobody has approved by then is erased
MAX_BODY_BYTES = 100_000
PAGE_CACHE_ENTRIES = 500  # 0 is off

INSTALLED_APPS = [
    "petition",
    "campaign",
    "parler",
    "pgtrigger",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "django_ratelimit",
    "config.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles",
    "django.forms",
]

MIDDLEWARE = [
    "petition.web.metrics.measured",
    "petition.web.page_cache.PageCache",
    "petition.web.middleware.database_timeouts",
    "petition.web.request_ids.remembered",
    "petition.web.middleware.headers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "petition.web.compression.Compression",
    "django.middleware.http.ConditionalGetMiddleware",
    "petition.web.middleware.language_from_path",
    "django.middleware.common.CommonMiddleware",
    "petition.web.middleware.refusals",
    "petition.web.middleware.StaffSessions",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["petition.web.compression.Unindented", "django.template.loaders.app_directories.Loader"],
                ),
            ],
            "context_processors": [
                "petition.web.context.site",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# One PostgreSQL. Threads of the app server keep their connection; Django's pool needs another driver.
DATABASE = from_url(
    env.db_url, "DATABASE_URL", default=postgres.url(VAR_DIR / "postgres") if LOCAL else "postgresql:///"
)
if DATABASE.get("ENGINE") != "django.db.backends.postgresql":
    DATABASE = {"ENGINE": "django.db.backends.postgresql", "NAME": ""}
# A server that is gone without a word is noticed within seconds, and the next of several hosts is asked.
NOTICED = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5000,  # milliseconds
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}
DATABASES = {
    "default": DATABASE
    | {
        "ENGINE": "petition.postgres",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": NOTICED | DATABASE.get("OPTIONS", {}),
    },
}
# A standby for pages and the number (`petition.postgres.replica`).
if env.str("REPLICA_URL", ""):
    REPLICA = from_url(env.db_url, "REPLICA_URL") or {"NAME": ""}
    DATABASES["replica"] = REPLICA | {
        "ENGINE": "petition.postgres",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": NOTICED | REPLICA.get("OPTIONS", {}),
        "TEST": {"MIRROR": "default"},
    }
    DATABASE_ROUTERS = ["petition.postgres.replica.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHE: dict[str, Any] = {"BACKEND": "petition.postgres.counters.PostgresCache", "LOCATION": "petition_cache"}
if env.str("CACHE_URL", ""):
    CACHE = from_url(env.cache_url, "CACHE_URL") or {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    if "redis" in CACHE["BACKEND"]:
        # Seconds: whoever signs waits for it.
        CACHE["OPTIONS"] = {"socket_timeout": 1, "socket_connect_timeout": 1} | CACHE.get("OPTIONS", {})
CACHES = {"default": CACHE}

# The client network is worked out by `petition.rate_limits`, and hashed with a salt of the day: a bare hash of an IPv4
# address is reversed by trying all of them.
RATELIMIT_HASH_ALGORITHM = "petition.identity.daily_hash"

# Mail.
EMAIL_HOST = ""  # Django's own default would take every machine for a mail server.
if env.str("EMAIL_URL", ""):
    vars().update(from_url(env.email_url, "EMAIL_URL"))
elif LOCAL:
    EMAIL_BACKEND = "config.local.mail.EmailBackend"
EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_TIMEOUT = 10  # for each command; `petition.mail.smtp` waits longer for the answer to a text
MAIL_CONNECTIONS = env.str("MAIL_CONNECTIONS", "4")  # of each worker, while much is due
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", f"{SITE_HOST} <confirm@{SITE_HOST or 'localhost'}>")

# Languages.
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", _("English")),
    ("ru", _("Russian")),
    ("de", _("German")),
    ("fr", _("French")),
    ("es", _("Spanish")),
]
# Complete are all texts in these; the others have the way of a signature, its mails and the home page.
COMPLETE_LANGUAGES = ["en", "ru"]
# Not yet read by a native speaker, unless the admin says so (LanguageApproval).
MACHINE_MADE = ["de", "fr", "es"]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"
TIME_ZONE = "UTC"
PARLER_LANGUAGES = {
    None: tuple({"code": code} for code, _name in LANGUAGES),
    "default": {"fallbacks": ["en"], "hide_untranslated": False},
}
PARLER_ENABLE_CACHING = False

# Files.
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "petition.web.compression.MinifiedStaticFiles"},
}
WHITENOISE_ALLOW_ALL_ORIGINS = False

# What a browser is told. `petition.web.middleware` adds the headers that have no setting.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "style-src": [SELF],
        "script-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_HSTS_SECONDS = 31_536_000 if SITE_URL.startswith("https://") else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = False
X_FRAME_OPTIONS = "DENY"

# Staff. Their cookies never reach a public page, end with the browser, and after half an hour without a request.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"/{ADMIN_PATH}/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE_URL.startswith("https://")
# A browser takes a cookie of such a name over https alone, so nobody in between can plant one.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = (
    f"{'__Secure-' if SESSION_COOKIE_SECURE else ''}{name}" for name in ("sessionid", "csrftoken")
)
SESSION_COOKIE_AGE = 30 * 60
SESSION_SAVE_EVERY_REQUEST = SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_AGE = None
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [url for url in (SITE_URL, ONION_URL) if "://" in url]
CSRF_FAILURE_VIEW = "petition.web.errors.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
# In a trial it can be switched on, elsewhere not off.
SECOND_FACTOR = not LOCAL or env.bool("SECOND_FACTOR", False)
# What an authenticator app shows beside the user name. It names no cause: phones are looked through.
OTP_TOTP_ISSUER = "Staff"
# A stranger who tries passwords uses up the first two; the last is for many networks at once, and soon over.
LOGINS_PER_NETWORK = "60/h"
LOGINS_PER_ACCOUNT_AND_NETWORK = "10/10m"
LOGINS_PER_ACCOUNT = "100/m"
AUTHENTICATION_BACKENDS = ["petition.staff.accounts.WithAccount"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]

SILENCED_SYSTEM_CHECKS = [
    "django_ratelimit.W001",  # PostgresCache is shared, and its add and incr are one atomic statement each
    "security.W003",  # public forms carry no authority; the admin's own views check CSRF themselves
    "security.W005",  # subdomains are the operator's to decide
    "security.W008",  # nginx redirects to https; the app is not reachable without it
    "security.W021",  # preloading HSTS is the operator's to decide
]

# Where `manage.py metrics` serves Prometheus, on the loopback address; without it nothing is measured. The web servers
# of this machine count into files in METRICS_DIR.
METRICS_ADDRESS = env.str("METRICS_ADDRESS", "")
METRICS_DIR = env.str("METRICS_DIR", str(VAR_DIR / "metrics") if LOCAL else "/run/petition/metrics")
# "json" for programs, one object a line; "text" for people.
LOG_FORMAT = env.str("LOG_FORMAT", "text" if LOCAL else "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"private": {"()": "petition.web.logs.Private"}},
    "formatters": {
        "text": {
            "()": "petition.web.logs.PrivateFormatter",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        },
        "json": {"()": "petition.web.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "filters": ["private"],
            "formatter": LOG_FORMAT if LOG_FORMAT in ("text", "json") else "json",
        }
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # Django's own handlers would write paths, and mail tracebacks to the admins.
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # What a worker process of granian says once it has loaded the site.
        "_granian": {"handlers": [], "propagate": True},
    },
}
