from django.urls import path, re_path

from campaign import views

app_name = "campaign"

urlpatterns = [
    path("", views.home, name="home"),
    path("share/", views.share, name="share"),
    path("share/words/", views.own_picture, name="own-picture"),
    re_path(r"^share/picture-(?P<name>\w+)-(?P<version>[0-9a-f]{8})\.png$", views.picture, name="picture-as-is"),
    re_path(
        r"^share/link-(?P<number>[0-9]{1,12})-(?P<version>[0-9a-f]{8})\.png$",
        views.picture_of_the_day,
        name="picture-of-the-day",
    ),
    re_path(
        r"^partners/(?P<tag>[a-z0-9-]{1,24})-(?P<version>[0-9a-f]{8})\.webp$",
        views.partner_picture,
        name="partner-picture",
    ),
    path("share/picture-<str:name>.png", views.picture, name="picture"),
    path("share/poster-a4.pdf", views.poster_pdf, name="poster"),
    path("share/qr.svg", views.code_svg, name="code-svg"),
    path("share/qr.png", views.code_png, name="code-png"),
    path("words/", views.words, name="words"),
    path("words/<int:number>/report/", views.report, name="report"),
    path("words/reported/", views.reported, name="reported"),
    path("updates/", views.updates, name="updates"),
    path("updates/feed.xml", views.feed, name="feed"),
    path("updates/<slug:slug>/", views.update, name="update"),
    path("open-data/", views.open_data, name="open-data"),
    path("<slug:slug>/", views.page, name="page"),
]
