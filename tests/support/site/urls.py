"""A site that knows nothing of us but the include(): its views are what the wall is tested against."""

from django.contrib import admin
from django.urls import include, path

from tests.support.site import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("verify/", include("django_twilio_verify.urls")),
    path("login/", views.Login.as_view(), name="login"),
    path("logout/", views.Logout.as_view(), name="logout"),
    path("account/", views.account, name="account"),
    path("bare-login/", views.bare_login),
    path("quiet-login/", views.quiet_login),
    path("whoami/", views.whoami),
    path("awhoami/", views.awhoami),
    path("context/", views.context),
    path("public/", views.public),
    path("apublic/", views.apublic),
    path("exempt/", views.exempt),
    path("forbidden/", views.forbidden),
    path("signup/<uuid:verification>/", views.signup),
    path("start/", views.start),
    path("set-cart/", views.set_cart),
    path("pay/", views.pay),
    path("paid/", views.paid),
]
