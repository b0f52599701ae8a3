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
    path("petitions/<slug:slug>/subscribe/", views.subscribe, name="subscribe"),
    path("petitions/<slug:slug>/subscribe/check-inbox/", views.subscribe_check_inbox, name="subscribe-check-inbox"),
    path("petitions/<slug:slug>/subscribed/", views.outcome, {"template": "subscribed"}, name="subscribed"),
    path("petitions/<slug:slug>/unsubscribed/", views.outcome, {"template": "unsubscribed"}, name="unsubscribed"),
    path("countries.json", views.country_names, name="countries"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
    path("withdraw/<str:token>/", views.withdraw_link, name="withdraw-link"),
    path("subscribe/<str:token>/", views.subscribe_link, name="subscribe-link"),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    # With what mail programs stick to the end of a link.
    re_path(rf"^confirm/{STUCK}$", views.confirm, name="confirm-stuck"),
    re_path(rf"^withdraw/{STUCK}$", views.withdraw_link, name="withdraw-stuck"),
    re_path(rf"^subscribe/{STUCK}$", views.subscribe_link, name="subscribe-stuck"),
    re_path(rf"^unsubscribe/{STUCK}$", views.unsubscribe, name="unsubscribe-stuck"),
]
