"""The settings of production, where mails wait for some seconds rather than a minute, so that a rehearsal is short."""

from config.settings import *  # noqa: F403

MAIL_SHUFFLE_SECONDS = 5
