"""Our pages. Include them anywhere: ``path("verify/", include("django_twilio_verify.urls"))``."""

from django.urls import path

from .views.consent import ConsentsView, OptInView, ReopenProvedView, ReopenView, StopProvedView, StopView, WithdrawView
from .views.factors.enroll import EnrollRecipientView, EnrollView
from .views.factors.enroll_passkey import (
    EnrollPasskeyOptionsView,
    EnrollPasskeyView,
    PasskeySignInOptionsView,
    PasskeySignInView,
)
from .views.factors.enroll_push import AccessTokenConfirmView, AccessTokenView, PhoneStatusView, PhoneView
from .views.factors.enroll_totp import TotpCodeView, TotpView
from .views.factors.manage import DefaultView, RemoveView, RenameView, ReplaceView, ReverifyView
from .views.factors.overview import FactorsView
from .views.factors.passkey import PasskeyOptionsView
from .views.factors.push import PushStatusView, PushView, RemindView
from .views.factors.recovery import RecoveryCodesKeptView, RecoveryCodesView
from .views.factors.reset import ResetCancelView, ResetHeldView, ResetLinkView, ResetView
from .views.factors.upgrade import OfferView
from .views.login.challenge import CancelView, ChallengeView, RecoveryView
from .views.login.grace import GraceView
from .views.login.payment import PaymentView
from .views.login.step_up import ResumeView, StepUpRecoveryView, StepUpView
from .views.login.trusted_browsers import BrowserRevokeView, BrowsersRevokeView, BrowsersView
from .views.verification.code import CodeView, OtherChannelView, ResendView
from .views.verification.link import HandoverView, LinkView, StatusView
from .views.webhooks import EventsView, FactorEventsView

app_name = "twilio_verify"

urlpatterns = [
    path("", FactorsView.as_view(), name="factors"),
    path("factors/<int:factor>/rename/", RenameView.as_view(), name="factor_rename"),
    path("factors/<int:factor>/default/", DefaultView.as_view(), name="factor_default"),
    path("factors/<int:factor>/remove/", RemoveView.as_view(), name="factor_remove"),
    path("factors/<int:factor>/replace/", ReplaceView.as_view(), name="factor_replace"),
    path("factors/<int:factor>/replace/<str:channel>/", ReplaceView.as_view(), name="factor_replace_channel"),
    path("factors/<int:factor>/reverify/", ReverifyView.as_view(), name="factor_reverify"),
    path("recovery-codes/", RecoveryCodesView.as_view(), name="recovery_codes"),
    path("recovery-codes/kept/", RecoveryCodesKeptView.as_view(), name="recovery_codes_kept"),
    path("stronger/", OfferView.as_view(), name="offer"),
    path("browsers/", BrowsersView.as_view(), name="browsers"),
    path("browsers/revoke/", BrowsersRevokeView.as_view(), name="browsers_revoke"),
    path("browsers/<int:browser>/revoke/", BrowserRevokeView.as_view(), name="browser_revoke"),
    path("consents/", ConsentsView.as_view(), name="consents"),
    path("consents/<int:event>/stop/", WithdrawView.as_view(), name="withdraw"),
    path("reopen/<uuid:verification>/", ReopenProvedView.as_view(), name="reopen_proved"),
    path("reopen/<int:factor>/<str:channel>/", ReopenView.as_view(), name="reopen"),
    path("stop/", StopView.as_view(), name="stop"),
    path("stop/<uuid:verification>/", StopProvedView.as_view(), name="stop_proved"),
    path("stop/<str:channel>/", StopView.as_view(), name="stop_channel"),
    path("opt-in/", OptInView.as_view(), name="opt_in"),
    path("opt-in/<str:channel>/", OptInView.as_view(), name="opt_in_channel"),
    path("enroll/passkey/", EnrollPasskeyView.as_view(), name="enroll_passkey"),
    path("enroll/passkey/options/", EnrollPasskeyOptionsView.as_view(), name="enroll_passkey_options"),
    path("enroll/", EnrollView.as_view(), name="enroll"),
    path("enroll/totp/", TotpView.as_view(), name="enroll_totp"),
    path("enroll/totp/<uuid:verification>/", TotpCodeView.as_view(), name="enroll_totp_code"),
    path("enroll/push/", PhoneView.as_view(), name="enroll_push"),
    path("enroll/push/status/", PhoneStatusView.as_view(), name="enroll_push_status"),
    path("access-token/", AccessTokenView.as_view(), name="access_token"),
    path("access-token/<uuid:verification>/", AccessTokenConfirmView.as_view(), name="access_token_confirm"),
    path("enroll/<str:channel>/", EnrollRecipientView.as_view(), name="enroll_recipient"),
    path("grace/", GraceView.as_view(), name="grace"),
    path("passkey/", PasskeySignInView.as_view(), name="passkey_sign_in"),
    path("passkey/options/", PasskeySignInOptionsView.as_view(), name="passkey_sign_in_options"),
    path("challenge/", ChallengeView.as_view(), name="challenge"),
    path("challenge/recovery/", RecoveryView.as_view(), name="recovery"),
    path("challenge/cancel/", CancelView.as_view(), name="cancel"),
    path("challenge/<int:factor>/<str:channel>/", ChallengeView.as_view(), name="challenge_channel"),
    path("push/<uuid:verification>/", PushView.as_view(), name="push"),
    path("push/<uuid:verification>/status/", PushStatusView.as_view(), name="push_status"),
    path("push/<uuid:verification>/remind/", RemindView.as_view(), name="push_remind"),
    path("passkey/options/<str:purpose>/", PasskeyOptionsView.as_view(), name="passkey_options"),
    path("step-up/", StepUpView.as_view(), name="step_up"),
    path("step-up/recovery/", StepUpRecoveryView.as_view(), name="step_up_recovery"),
    path("step-up/<int:factor>/<str:channel>/", StepUpView.as_view(), name="step_up_channel"),
    path("resume/<str:key>/", ResumeView.as_view(), name="resume"),
    path("code/<uuid:verification>/", CodeView.as_view(), name="code"),
    path("link/<uuid:verification>/", LinkView.as_view(), name="link"),
    path("link/<uuid:verification>/status/", StatusView.as_view(), name="status"),
    path("handover/<str:token>/", HandoverView.as_view(), name="handover"),
    path("payment/<str:key>/", PaymentView.as_view(), name="payment"),
    path("payment/<str:key>/<int:factor>/<str:channel>/", PaymentView.as_view(), name="payment_channel"),
    path("code/<uuid:verification>/resend/", ResendView.as_view(), name="resend"),
    path("code/<uuid:verification>/<str:channel>/", OtherChannelView.as_view(), name="other_channel"),
    path("reset/", ResetView.as_view(), name="reset"),
    path("reset/check-email/", ResetHeldView.as_view(), name="reset_held"),
    path("reset/<str:token>/enroll/", ResetLinkView.as_view(), name="reset_enroll"),
    path("reset/<str:token>/", ResetCancelView.as_view(), name="reset_cancel"),
    path("webhooks/verify/", EventsView.as_view(), name="webhook"),
    path("webhooks/factors/", FactorEventsView.as_view(), name="factor_webhook"),
]
