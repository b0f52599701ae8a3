"""Dates and times of the admin: one face in each language, in UTC, 24 hours. Pages for readers word theirs."""
