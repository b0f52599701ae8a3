#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line
from django.db import OperationalError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None):  # PostgreSQL answered, and does not like a statement of ours
            raise
        sys.exit(f"The database cannot be reached. Look whether it runs, and at DATABASE_URL. {error}")
