"""Updates for feed readers: one Atom feed for each language."""

from datetime import UTC, datetime

from django.conf import settings
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.translation import gettext, override

from campaign import figures, markdown
from campaign.models import Update

ENTRIES = 20


class Feed(Atom1Feed):
    def latest_post_date(self) -> datetime:
        """When the feed last changed. Django says "now" for an empty feed, and caches would take it for a new one."""
        return super().latest_post_date() if self.items else datetime.fromtimestamp(0, UTC)


def updates(language: str) -> bytes:
    """Atom feed of the newest updates in this language."""
    with override(language):
        feed = Feed(
            title=gettext("Updates of #100forjustice"),
            link=settings.SITE_URL + reverse("campaign:updates"),
            feed_url=settings.SITE_URL + reverse("campaign:feed"),
            description="",
            language=language,
            author_name=gettext("Russian LGBT Network"),
        )
        newest = Update.objects.published().in_language(language).latest_first()
        facts = figures.known()
        for update in newest.prefetch_related("translations")[:ENTRIES]:
            link = settings.SITE_URL + reverse("campaign:update", args=[update.slug])
            feed.add_item(
                title=update.title,
                link=link,
                description=markdown.to_html(figures.fill(update.body, facts)),
                unique_id=link,
                pubdate=update.published_at,
                updateddate=max(update.published_at, update.updated_at),
            )
        return feed.writeString("utf-8").encode()
