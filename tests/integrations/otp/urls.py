"""A site with an admin that wants people verified, django-otp's own login view, and a plain one."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path
from django_otp.admin import OTPAdminSite
from django_otp.decorators import otp_required
from django_otp.views import LoginView as OTPLoginView

from django_twilio_verify.contrib.otp.forms import (
    VerifyAdminAuthenticationForm,
    VerifyAuthenticationForm,
    VerifyTokenForm,
)


class Admin(OTPAdminSite):
    login_form = VerifyAdminAuthenticationForm


class DeviceLogin(OTPLoginView):
    otp_authentication_form = VerifyAuthenticationForm
    otp_token_form = VerifyTokenForm


class Shown:
    """Login views that show their form with all errors, and nothing else."""

    def render_to_response(self, context, **kwargs):
        page = engines["django"].from_string("{{ form.errors }}{{ form.as_p }}")
        return HttpResponse(page.render(context, self.request))


class Plain(Shown, LoginView):
    pass


class Device(Shown, DeviceLogin):
    pass


class Stock(Shown, OTPLoginView):
    pass


def account(request: HttpRequest) -> JsonResponse:
    user = request.user
    return JsonResponse(
        {
            "user": user.get_username(),
            "verified": user.is_verified(),
            "passed": request.twilio_verify.is_verified,
            "device": user.otp_device and user.otp_device.persistent_id,
        }
    )


async def aaccount(request: HttpRequest) -> JsonResponse:
    user = await request.auser()
    return JsonResponse({"user": user.get_username(), "verified": user.is_verified()})


@otp_required
def guarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("in")


admin_site = Admin()

urlpatterns = [
    path("admin/", admin_site.urls),
    path("verify/", include("django_twilio_verify.urls")),
    path("login/", Plain.as_view(), name="login"),
    path("device-login/", Device.as_view()),
    path("stock-login/", Stock.as_view()),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", account),
    path("aaccount/", aaccount),
    path("guarded/", guarded),
]
