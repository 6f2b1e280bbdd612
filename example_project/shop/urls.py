"""Addresses of the Corner Shop."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from store import phone, views

urlpatterns = [
    path("", views.home, name="home"),
    path("basket/add/<slug:product>/", views.add_to_basket, name="add_to_basket"),
    path("checkout/", views.checkout, name="checkout"),
    path("checkout/paid/", views.paid, name="paid"),
    path("account/", views.account, name="account"),
    path("account/delivery/", views.delivery, name="delivery"),
    path("sign-up/", views.sign_up, name="sign_up"),
    path("sign-up/finish/", views.sign_up_finish, name="sign_up_finish"),
    path("login/", LoginView.as_view(template_name="store/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("terms/", views.terms, name="terms"),
    path("privacy/", views.privacy, name="privacy"),
    path("phone/", views.phone, name="phone"),
    path("phone/app/", phone.register, name="phone_register"),
    path("phone/app/<str:factor>/<str:challenge>/", phone.answer, name="phone_answer"),
    path("phone/v2/<path:rest>", phone.api, name="phone_api"),
    path("phone/link/<str:token>", views.phone_link, name="phone_link"),
    path("verify/", include("django_twilio_verify.urls")),
    path("admin/", admin.site.urls),
]
