from django.contrib import admin
from parler.admin import TranslatableAdmin

from campaign.models import Page
from petition.admin.base import Traced


@admin.register(Page)
class PageAdmin(Traced, TranslatableAdmin):
    list_display = ["slug", "title"]
    fields = ["slug", "title", "description", "body"]
