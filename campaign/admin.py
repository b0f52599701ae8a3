from django.contrib import admin
from parler.admin import TranslatableAdmin

from campaign.models import Page


@admin.register(Page)
class PageAdmin(TranslatableAdmin):
    list_display = ["slug", "title"]
    fields = ["slug", "title", "description", "body"]
