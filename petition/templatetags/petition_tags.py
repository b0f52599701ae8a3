from django import template
from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.template.loader import get_template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, override

from petition import countries, dates, live_settings, mailing_list
from petition.counts import momentum, tally
from petition.forms import SignForm
from petition.models import LanguageApproval, Link, OutgoingMail, Petition, ShownWords, Source
from petition.moderation import similar, written_language

register = template.Library()
NOTICED_MINUTES = 3
register.filter("season", dates.season)
register.filter("country_name", countries.name)
register.filter("direction", written_language.direction)


@register.filter
def written_in(shown: ShownWords | Link) -> str:
    """The language of the words, or of the name where there are none."""
    return written_language.of(shown.words or shown.name, shown.language)


@register.filter
def seen_in_crowds(number: int) -> str:
    """How many of a group, for staff: of fewer than 20 not even whether there is one."""
    return intcomma(number) if number >= similar.SMALLEST else gettext("fewer than 20")


@register.simple_tag(takes_context=True)
def in_english_too(context: template.Context, name: str) -> SafeString:
    """What a template on safety says in English, below what it says in a language that no native speaker has read."""
    if not LanguageApproval.is_unread(get_language() or ""):
        return SafeString()
    with override("en"):
        said = get_template(name).template.render(context.new({"suffix": "-en"}))  # type: ignore[attr-defined]
    return format_html('<div class="in-english" lang="en" dir="ltr">{}</div>', mark_safe(said))  # noqa: S308


@register.simple_tag(takes_context=True)
def current_petition(context: template.Context) -> Petition | None:
    """The petition that the page is about, or else the site: the one opened last."""
    return context.get("petition") or Petition.find()


@register.filter
def offers_updates(petition: Petition) -> bool:
    return mailing_list.is_offered(petition)


@register.simple_tag
def banner() -> str:
    return live_settings.banner()


@register.inclusion_tag("petition/tags/tally.html")
def tally_of(petition: Petition) -> dict[str, object]:
    """The count in its two parts, kept up to date by a script."""
    return {"petition": petition, "count": tally.current(petition.slug), "is_trial": settings.COUNT_STEP == "1"}


# The inboxes themselves, never a search in them: a search would tell the provider what is looked for.
INBOXES = {
    "Gmail": "https://mail.google.com/mail/u/0/#inbox",
    "Outlook": "https://outlook.live.com/mail/0/inbox",
    "Yahoo": "https://mail.yahoo.com/",
    "iCloud": "https://www.icloud.com/mail/",
    "Proton": "https://mail.proton.me/u/0/inbox",
    "Yandex": "https://mail.yandex.com/",
    "Mail.ru": "https://e.mail.ru/inbox/",
}


@register.simple_tag
def inboxes() -> dict[str, str]:
    """Addresses of the common inboxes on the web, by the names of their providers; the same for everyone."""
    return INBOXES


@register.simple_tag
def mail_delay() -> int:
    """By how many minutes mail is late at the moment; 0 if nobody would notice."""
    minutes = OutgoingMail.objects.minutes_late()
    return minutes if minutes >= NOTICED_MINUTES else 0


@register.inclusion_tag("petition/tags/count_line.html", takes_context=True)
def count_line(context: template.Context, petition: Petition, *, leads_to_form: bool = True) -> dict[str, object]:
    """The count in one line, with the way to the form, for pages that are about something else."""
    count, leads = tally.current(petition.slug), leads_to_form and not petition.is_closed
    return {"count": count, "leads_to_form": leads, "request": context["request"]}


@register.inclusion_tag("petition/tags/momentum.html")
def momentum_of(petition: Petition) -> dict[str, object]:
    """What the published number did in the last days."""
    return {"momentum": momentum.of(petition)}


@register.simple_tag
def partners() -> QuerySet[Source]:
    """All whose links are counted. Public, so that nobody can give a tag to one person without being seen."""
    return Source.objects.order_by("title")


@register.inclusion_tag("petition/tags/sign_form.html", takes_context=True)
def sign_form(context: template.Context, petition: Petition, form: SignForm | None = None) -> dict[str, object]:
    """The form, empty or with what was typed; in its place a word when the petition is closed or paused."""
    tag = context["request"].GET.get("from", "") if form is None else ""
    return {"petition": petition, "form": form or SignForm(initial={"source": Source.known(tag)})}
