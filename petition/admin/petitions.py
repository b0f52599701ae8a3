from django.contrib import admin
from django.http import HttpRequest
from parler.admin import TranslatableAdmin

from petition.models import Petition, Source


@admin.register(Petition)
class PetitionAdmin(TranslatableAdmin):
    list_display = ["slug", "title", "opened_at", "closed_at", "paused_at", "collected_before"]
    fields = [
        "slug",
        "title",
        "addressee",
        "demand",
        "thanks",
        ("opened_at", "paused_at", "closed_at"),
        ("collected_before", "collected_before_on", "collected_before_source"),
        "goal",
    ]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        # Its signatures would go with it.
        return False


@admin.register(Source)
class SourceAdmin(admin.ModelAdmin):
    list_display = ["slug", "title"]
