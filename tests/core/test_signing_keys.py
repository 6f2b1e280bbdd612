"""Whatever this package signs with ``SECRET_KEY`` outlives a rotation with a fallback, and nothing outlives its key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import django_twilio_verify
from django_twilio_verify import verifications
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.login import session, trusted_browsers
from django_twilio_verify.verifications import handover
from tests.support.basics import PHONE, agree, make_client, make_factor, make_user, sign_in

pytestmark = pytest.mark.django_db

OLD, NEW = "the-old-secret-key-of-this-site", "the-new-secret-key-of-this-site"
SIGNERS = r"signing\.(dumps|loads|Signer|TimestampSigner)|salted_hmac\(|get_session_auth_hash\(|set_signed_cookie"


def handed_over() -> Callable[[], bool]:
    """The token of a QR code, and the number beside it."""
    agree(PHONE, "sna")
    verification = verifications.start(recipient=PHONE, channel="sna", client=make_client()).verification
    offer = handover.offer(verification, client=make_client())

    def works() -> bool:
        try:
            assert handover.read(offer.token).choices == offer.choices, "the number on the open page still counts"
            return bool(handover.accept(offer.token, offer.match))
        except VerificationNotFound:
            return False

    return works


def trusted_browser() -> Callable[[], bool]:
    """The setup that a trusted browser was trusted under holds the session hash of the password."""
    ann = make_user("tia")
    make_factor(ann)
    # Fingerprint keys of the site's own: those have rules for their own rotation.
    token = trusted_browsers.trust(ann, make_client(), days=30).token
    return lambda: trusted_browsers.recognise(ann, [token], make_client(), days=30)


def waiting_sign_in() -> Callable[[], bool]:
    """The sign-in that waits in a session, whose hash of the password is Django's."""
    from django.test import Client  # noqa: PLC0415

    make_factor(make_user("wes"), "+15017122668")
    browser = Client()
    sign_in(browser, "wes")
    return lambda: browser.get("/verify/challenge/").status_code == 200


CASES: dict[str, Callable[[], Callable[[], bool]]] = {
    "verifications/handover.py": handed_over,
    "login/trusted_browsers.py": trusted_browser,
    "login/session.py": waiting_sign_in,
}
ELSEWHERE = {
    "contrib/rest_framework/pending.py": "tests/integrations/rest_framework/test_rest_framework.py",
    "login/impersonation.py": "tests/login/enforcement/test_impersonation.py",
}
"""Signers that need a package: where the test is that does the same."""


@pytest.fixture(autouse=True)
def own_keys(settings: Any) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", "an own secret of this site, long enough")]
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    settings.SECRET_KEY = OLD
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


@pytest.mark.parametrize("name", CASES)
def test_a_fallback_is_tried(name: str, settings: Any, server: Any) -> None:
    works = CASES[name]()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, ["yet-another-key", OLD]
    assert works()


@pytest.mark.parametrize("name", CASES)
def test_without_a_fallback_it_is_refused(name: str, settings: Any, server: Any) -> None:
    works = CASES[name]()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, []
    assert not works()


def test_every_signer_is_in_the_table() -> None:
    """A new one needs a row above: nothing else would show that a fallback is forgotten."""
    package = Path(django_twilio_verify.__file__).parent
    # What only mentions the hash in its docstring signs nothing.
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(SIGNERS, path.read_text(encoding="utf-8"))
    }
    assert found == {*CASES, *ELSEWHERE}
    assert session.__name__ == "django_twilio_verify.login.session"
    root = Path(__file__).parents[2]
    for test in ELSEWHERE.values():
        assert "SECRET_KEY_FALLBACKS" in (root / test).read_text(encoding="utf-8")
