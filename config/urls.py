from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path

from campaign.views import icon, robots, security_txt, sitemap, start
from config.local import mail
from petition.api import counts_json, open_data
from petition.health import healthz, readyz
from petition.views import count_json

handler400 = "petition.web.errors.bad_request"
handler403 = "petition.web.errors.forbidden"
handler404 = "petition.web.errors.not_found"
handler500 = "petition.web.errors.server_error"

urlpatterns = [
    path("", start, name="start"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("favicon.ico", icon, name="icon"),
    path("robots.txt", robots, name="robots"),
    path(".well-known/security.txt", security_txt, name="security-txt"),
    path("sitemap.xml", sitemap, name="sitemap"),
    path("petitions/<slug:slug>/count.json", count_json, name="count-json"),
    path("petitions/<slug:slug>/counts.json", counts_json, name="counts-json"),
    path("petitions/<slug:slug>/open-data/v1/<str:name>", open_data, name="open-data-file"),
    path(f"{settings.ADMIN_PATH}/", admin.site.urls),
    *i18n_patterns(
        path("", include("petition.urls")),
        path("", include("campaign.urls")),
    ),
]

if settings.LOCAL:
    urlpatterns += [
        path("dev/mail/", mail.inbox, name="dev-mail"),
        path("dev/mail/<uuid:name>/", mail.html_part, name="dev-mail-html"),
    ]
