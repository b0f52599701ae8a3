"""The settings of production with two more views, which are the ceilings that ours are compared with."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
