import os

from django.core import checks
from django.core.management.base import SystemCheckError
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

# `manage.py` commands check the configuration before they start; a server started by its own command must too.
if errors := [message for message in checks.run_checks(databases=["default"]) if message.is_serious(checks.ERROR)]:
    raise SystemCheckError("\n".join(str(error) for error in errors))
