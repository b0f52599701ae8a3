from django import template
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

from campaign import figures, markdown, page_context, words_of_support
from campaign.models import Page, Partner, Testimony, Update
from campaign.share import links, pictures
from petition import dates
from petition.counts import momentum
from petition.models import Petition, ShownWords, Source

register = template.Library()
register.filter("long_day", dates.long_day)


@register.simple_tag(takes_context=True, name="markdown")
def to_html(context: template.Context, value: str, *, under: int = 1) -> SafeString:
    """Markdown as HTML, with the figures that it names; its headings come below a heading of level `under`."""
    return markdown.to_html(figures.fill(value, context.get("facts")), under)


@register.simple_tag(takes_context=True)
def facts(context: template.Context) -> list[figures.Fact]:
    """Figures with their sources; in a preview of the admin, as they would be."""
    return list((context.get("facts") or figures.known()).values())


@register.simple_tag
def latest_words(number: int) -> list[ShownWords]:
    return words_of_support.in_their_order(0, number)


@register.simple_tag
def latest_update() -> Update | None:
    """Newest update in the language of the page, or else the newest in any."""
    newest = Update.objects.published().latest_first()
    return newest.in_language(get_language() or "").first() or newest.first()


@register.simple_tag
def menu_pages() -> list[Page]:
    """The pages that editors have put into a column of the menu, each in the language of the page or another one."""
    rows = Page.objects.published().exclude(menu="")
    rows = rows.exclude(slug__in=[*page_context.PLACES, *page_context.WITHOUT_ADDRESS])
    return [page_context.in_a_language(row) for row in rows.order_by("slug").prefetch_related("translations")]


@register.simple_tag
def outcome() -> Page | None:
    """Page about the result of the petition; None until it is published."""
    page = Page.objects.published().filter(slug="outcome").first()
    return page_context.in_a_language(page) if page else None


@register.simple_block_tag
def captured(content: str) -> str:
    """`{% captured as name %}…{% endcaptured %}`: what is inside, without the space around it, to be said twice."""
    return mark_safe(content.strip())  # noqa: S308  (escaped already, as a part of the template)


@register.simple_tag
def picture_url(name: str) -> str:
    """Path of the campaign's picture in one of its formats, which changes with what is on it."""
    version = pictures.version(get_language() or "en")
    return reverse("campaign:picture-as-is", kwargs={"name": name, "version": version})


@register.simple_tag
def preview_picture() -> dict[str, str]:
    """The picture that messengers show with a link: with the number of the day, once there is a petition."""
    petition = Petition.find()
    if petition is None:
        return {"path": picture_url(pictures.PREVIEW), "alt": picture_alt()}
    version = pictures.version(get_language() or "en")
    number = momentum.at_midnight(petition)
    said = f"{pictures.signatures(number, petition.is_lower_bound)}. {pictures.demand()}"
    return {
        "path": reverse("campaign:picture-of-the-day", kwargs={"number": number, "version": version}),
        "alt": gettext("A hundred tally marks, the last one in orange. Below them: %(words)s") % {"words": said},
    }


@register.simple_tag
def testimonies(most: int | None = None) -> list[Testimony]:  # noqa: PT028  (no test)
    """What survivors said, the newest first, each in the language of the page or another one."""
    rows = Testimony.objects.published().latest_first().prefetch_related("translations")[:most]
    return [page_context.in_a_language(row) for row in rows]


@register.simple_tag(takes_context=True)
def partner_here(context: template.Context) -> Partner | None:
    """The partner by whose link the reader came, if editors wrote something for its readers."""
    tag = context["request"].GET.get("from", "")
    rows = Partner.objects.published().select_related("source").filter(pk=tag) if Source.is_tag(tag) else []
    return next((page_context.in_a_language(row) for row in rows), None)


@register.simple_tag
def text_of(slug: str) -> Page | None:
    """A page whose text is shown on another one."""
    page = Page.objects.published().filter(slug=slug).first()
    return page_context.in_a_language(page) if page else None


@register.simple_tag
def picture_alt() -> str:
    """Alternative text of the campaign's picture."""
    return gettext("A hundred tally marks, the last one in orange. Below them #100forjustice, and: %(words)s") % {
        "words": pictures.demand()
    }


@register.simple_tag(takes_context=True)
def posting_here(context: template.Context) -> dict[str, object]:
    """What is posted from the page of thanks: a text, and links that carry it to the networks that take it best."""
    source, text = Source.known(context["request"].GET.get("from", "")), links.of_a_signer()
    networks = [link for link in links.links(text, source) if link.name in ("Telegram", "WhatsApp")]
    return {"text": text, "links": networks, "address": links.address(source)}


@register.inclusion_tag("campaign/marks.html")
def marks() -> dict[str, object]:
    """The picture of the campaign: a hundred tally marks, the last one in orange."""
    return {"marks": pictures.marks_as_svg()}


@register.simple_tag(takes_context=True)
def from_partner(context: template.Context) -> str:
    """Query that keeps the partner whose link brought the reader here: `?from=partner`, or nothing."""
    source = Source.known(context["request"].GET.get("from", ""))
    return f"?from={source}" if source else ""
