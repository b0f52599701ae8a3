"""The app as tests start it behind a real server."""

from config.wsgi import application
from tests.support.patience import be_patient

__all__ = ["application"]

be_patient()
