"""Dates in words: a day, and the season where a day would claim to know more than it does."""

from datetime import date

from django.utils.formats import date_format
from django.utils.translation import pgettext


def long_day(day: date) -> str:
    """The day as it stands in a sentence, on one line: no-break spaces hold it together."""
    # Translators: how a day is written in a sentence, in the letters of Django's filter "date": 28 March 2017. In place
    # of "E" stands the name of the month as it goes with a day. Letters that mean themselves have a "\" before them.
    return date_format(day, pgettext("format of a day", "j E Y")).replace(" ", "\u00a0")


def season(day: date) -> str:
    """Spring 2018. Winter goes by the year of the day, so December is the winter of its own year."""
    names = (
        pgettext("season", "winter %(year)s"),
        pgettext("season", "spring %(year)s"),
        pgettext("season", "summer %(year)s"),
        pgettext("season", "autumn %(year)s"),
    )
    return names[day.month % 12 // 3] % {"year": day.year}
