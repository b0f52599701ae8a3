from django.urls import path, re_path

from petition import views

app_name = "petition"
STUCK = r"(?P<token>[^/]+)/[^\w/]{1,5}/?"

urlpatterns = [
    path("petitions/<slug:slug>/sign/", views.sign, name="sign"),
    path("petitions/<slug:slug>/check-inbox/", views.check_inbox, name="check-inbox"),
    path("petitions/<slug:slug>/confirm-code/", views.confirm_code, name="confirm-code"),
    path("petitions/<slug:slug>/thanks/", views.outcome, {"template": "thanks"}, name="thanks"),
    path("petitions/<slug:slug>/disowned/", views.outcome, {"template": "disowned"}, name="disowned"),
    path("petitions/<slug:slug>/embed/", views.embed, name="embed"),
    path("petitions/<slug:slug>/withdraw/", views.withdraw, name="withdraw"),
    path("petitions/<slug:slug>/withdraw/check-inbox/", views.withdraw_check_inbox, name="withdraw-check-inbox"),
    path("petitions/<slug:slug>/withdrawn/", views.outcome, {"template": "withdrawn"}, name="withdrawn"),
    path("countries.json", views.country_names, name="countries"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
    path("withdraw/<str:token>/", views.withdraw_link, name="withdraw-link"),
    # With what mail programs stick to the end of a link.
    re_path(rf"^confirm/{STUCK}$", views.confirm, name="confirm-stuck"),
    re_path(rf"^withdraw/{STUCK}$", views.withdraw_link, name="withdraw-stuck"),
]
