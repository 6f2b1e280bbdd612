"""The pytest plugin, in a pytest of its own that finds it by the entry point of ``pyproject.toml``."""

from __future__ import annotations

import pytest

from tests.testing.conftest import run_tests

pytest_plugins = ["pytester"]


def test_the_fixtures_of_a_small_site(run: pytest.Pytester) -> None:
    run.makeini("[pytest]\nDJANGO_SETTINGS_MODULE = tests.testing.site.settings\nfilterwarnings = error\n")
    run.makepyfile(
        """
        import pytest
        from django.contrib.auth.models import User

        from django_twilio_verify.models import Factor
        from django_twilio_verify.testing import grant_consent, last_code, outbox
        from django_twilio_verify import verifications
        from tests.support.basics import make_client


        def send(user):
            verifications.start(recipient="+12025550144", channel="sms", user=user, client=make_client())


        def test_a_verified_client(verified_client):
            assert verified_client.get("/payout/").status_code == 200
            assert verified_client.get("/account/").content == b"verified"
            assert Factor.objects.get(user=verified_client.user).kind == "phone"
            assert outbox == []

        @pytest.mark.parametrize("turn", [1, 2])
        def test_an_outbox_of_the_tests_own(turn, verified_client, twilio_verify_outbox):
            assert twilio_verify_outbox == []
            grant_consent(verified_client.user, recipient="+12025550144", channel="sms")
            send(verified_client.user)
            assert [message.to for message in twilio_verify_outbox] == ["+12025550144"]
            assert last_code() == outbox[-1].code

        @pytest.mark.parametrize("turn", [1, 2])
        def test_the_outbox_is_emptied_without_a_fixture_too(turn, db, settings):
            assert outbox == []
            settings.TWILIO_VERIFY_BACKENDS = {
                "default": {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}
            }
            user = User.objects.create_user("ann")
            grant_consent(user, recipient="+12025550144", channel="sms")
            send(user)
            assert len(outbox) == 1
        """
    )
    # What a class has enrolled works in each of its tests.
    run.makepyfile(
        test_of_a_class="""
        from django.contrib.auth.models import User
        from django.test import TestCase

        from django_twilio_verify.models import Factor
        from django_twilio_verify.testing import TwilioVerifyTestMixin, enroll, enroll_totp, sign_in


        class AppTests(TwilioVerifyTestMixin, TestCase):
            @classmethod
            def setUpTestData(cls):
                cls.user = User.objects.create_user("ann")
                enroll(cls.user)
                cls.app = enroll_totp(cls.user)

            def answer(self):
                sign_in(self.client, self.user, verified=False)
                factor = Factor.objects.get(kind="totp")
                answer = self.client.post(f"/verify/challenge/{factor.pk}/totp/", {"code": self.app.code()})
                assert answer.status_code == 302, answer.content
                assert self.client.get("/account/").status_code == 200

            def test_once(self):
                self.answer()

            def test_and_once_more_in_the_same_half_minute(self):
                self.answer()
        """
    )
    run_tests(run).assert_outcomes(passed=7)


def test_a_project_that_does_not_use_it_loads_nothing(run: pytest.Pytester) -> None:
    run.makeini("[pytest]\nfilterwarnings = error\n")
    run.makepyfile(
        """
        import sys


        def test_nothing_of_the_app_was_imported(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("twilio_verify")
            loaded = sorted(name for name in sys.modules if name.startswith("django_twilio_verify"))
            assert loaded == ["django_twilio_verify", "django_twilio_verify.pytest_plugin"]
            assert not [name for name in sys.modules if name == "twilio" or name.startswith("django.")]
        """
    )
    # Without pytest-django, which imports Django itself.
    run_tests(run, "-p", "no:django", "-p", "no:asyncio").assert_outcomes(passed=1)
