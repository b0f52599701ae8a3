from django import template
from django.conf import settings
from django.db.models import QuerySet
from django.utils.translation import gettext

from petition import countries, dates, live_settings
from petition.counts import tally
from petition.forms import SignForm
from petition.models import Petition, Source
from petition.moderation import similar

register = template.Library()
register.filter("season", dates.season)
register.filter("country_name", countries.name)


@register.filter
def seen_in_crowds(number: int) -> int | str:
    """How many of a group, for staff: of fewer than 20 not even whether there is one."""
    return number if number >= similar.SMALLEST else gettext("fewer than 20")


@register.simple_tag
def current_petition() -> Petition | None:
    """The petition that the site is about: the one opened last."""
    return Petition.find()


@register.simple_tag
def banner() -> str:
    return live_settings.banner()


@register.inclusion_tag("petition/tags/tally.html")
def tally_of(petition: Petition) -> dict[str, object]:
    """The count in its two parts, kept up to date by a script."""
    return {"petition": petition, "count": tally.current(petition.slug), "is_trial": settings.COUNT_STEP == "1"}


@register.simple_tag
def partners() -> QuerySet[Source]:
    """All whose links are counted. Public, so that nobody can give a tag to one person without being seen."""
    return Source.objects.order_by("title")


@register.inclusion_tag("petition/tags/sign_form.html", takes_context=True)
def sign_form(context: template.Context, petition: Petition, form: SignForm | None = None) -> dict[str, object]:
    """The form, empty or with what was typed; in its place a word when the petition is closed or paused."""
    tag = context["request"].GET.get("from", "") if form is None else ""
    return {"petition": petition, "form": form or SignForm(initial={"source": Source.known(tag)})}
