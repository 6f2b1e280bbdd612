"""Our pages. Include them anywhere: ``path("verify/", include("django_twilio_verify.urls"))``."""

from django.urls import path

from .views.account import FactorsView, RecoveryCodesView
from .views.again import OtherWayView, ResendView
from .views.browsers import BrowserRevokeView, BrowsersRevokeView, BrowsersView
from .views.challenge import CancelView, ChallengeView, RecoveryView
from .views.code import CodeView
from .views.consent import ConsentsView, OptInView, StopProvedView, StopView, WithdrawView
from .views.enrol import EnrolRecipientView, EnrolView
from .views.link import HandoverView, LinkView, StatusView
from .views.payment import PaymentView
from .webhooks.views import EventsView

app_name = "twilio_verify"

urlpatterns = [
    path("", FactorsView.as_view(), name="factors"),
    path("recovery-codes/", RecoveryCodesView.as_view(), name="recovery_codes"),
    path("browsers/", BrowsersView.as_view(), name="browsers"),
    path("browsers/revoke/", BrowsersRevokeView.as_view(), name="browsers_revoke"),
    path("browsers/<int:browser>/revoke/", BrowserRevokeView.as_view(), name="browser_revoke"),
    path("consents/", ConsentsView.as_view(), name="consents"),
    path("consents/<int:event>/stop/", WithdrawView.as_view(), name="withdraw"),
    path("stop/", StopView.as_view(), name="stop"),
    path("stop/<uuid:verification>/", StopProvedView.as_view(), name="stop_proved"),
    path("stop/<str:channel>/", StopView.as_view(), name="stop_way"),
    path("opt-in/", OptInView.as_view(), name="opt_in"),
    path("opt-in/<str:channel>/", OptInView.as_view(), name="opt_in_way"),
    path("enrol/", EnrolView.as_view(), name="enrol"),
    path("enrol/<str:channel>/", EnrolRecipientView.as_view(), name="enrol_recipient"),
    path("challenge/", ChallengeView.as_view(), name="challenge"),
    path("challenge/recovery/", RecoveryView.as_view(), name="recovery"),
    path("challenge/cancel/", CancelView.as_view(), name="cancel"),
    path("challenge/<int:factor>/<str:channel>/", ChallengeView.as_view(), name="challenge_way"),
    path("code/<uuid:verification>/", CodeView.as_view(), name="code"),
    path("link/<uuid:verification>/", LinkView.as_view(), name="link"),
    path("link/<uuid:verification>/status/", StatusView.as_view(), name="status"),
    path("handover/<str:token>/", HandoverView.as_view(), name="handover"),
    path("payment/<str:key>/", PaymentView.as_view(), name="payment"),
    path("payment/<str:key>/<int:factor>/<str:channel>/", PaymentView.as_view(), name="payment_way"),
    path("code/<uuid:verification>/resend/", ResendView.as_view(), name="resend"),
    path("code/<uuid:verification>/<str:channel>/", OtherWayView.as_view(), name="other_way"),
    path("webhooks/verify/", EventsView.as_view(), name="webhook"),
]
