"""What reviewers reject is found before they look; good words are left alone."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from types import ModuleType

import pytest
from django.conf import global_settings
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import translation

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures, linter
from django_twilio_verify.ledger.disclosure_text import Disclosure

TERMS = """<html><head><style>.help { color: red }</style></head><body><h1>Terms</h1>
<p>Message and data rates may apply. Reply HELP for help, or write to us: help@acme.example.</p></body></html>"""
PRIVACY = (
    "We keep your number.\n\nWe do not share mobile numbers, or your consent to text messages, with third parties."
)


def words(channel: str = "sms", **changed: object) -> Disclosure:
    """The app's own words in English, with some of them changed."""
    with translation.override("en"):
        return replace(disclosures.compose(Channel(channel)), **changed)


def codes(found) -> list[str]:
    return sorted({finding.code for finding in found})


def without(line: int, channel: str = "sms") -> tuple[str, ...]:
    lines = words(channel).lines
    return (*lines[:line], *lines[line + 1 :])


def test_our_own_words_are_clean_in_every_language_and_way():
    assert linter.findings(terms=TERMS, privacy=PRIVACY) == []


@pytest.mark.parametrize("channel", ["sms", "call", "whatsapp", "email"])
def test_our_own_words_for_one_code_are_clean(channel):
    with translation.override("en"):
        assert linter.of_disclosure(disclosures.compose_once(Channel(channel))) == []


BOX = "I agree to get one-time security codes from Acme by text message (SMS)."


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"checkbox_label": "Security codes from Acme by SMS."}, "consent_unclear"),
        ({"checkbox_label": " "}, "consent_unclear"),
        ({"lines": ("Acme will write to you by SMS.", *without(0))}, "purpose_missing"),
        ({"lines": ()}, "purpose_missing"),
        ({"lines": without(1)}, "frequency_missing"),
        ({"checkbox_label": "I agree to get security codes from Acme on my phone."}, "sms_not_named"),
        ({"lines": tuple(line.replace("(SMS)", "") for line in words().lines)}, "sms_not_named"),
        ({"checkbox_label": BOX + " And by email."}, "channels_bundled"),
        ({"checkbox_label": BOX + " Or by phone call."}, "channels_bundled"),
        ({"checkbox_label": BOX + " Or WhatsApp."}, "channels_bundled"),
        ({"lines": without(2)}, "rates_missing"),
        ({"lines": ("Message and data rates may apply.", *without(2))}, "rates_missing"),
        ({"lines": without(3)}, "help_missing"),
        ({"checkbox_label": BOX + " I accept the Terms."}, "terms_bundled"),
        ({"checkbox_label": "I agree to the Privacy Policy and to SMS."}, "terms_bundled"),
    ],
)
def test_words_that_a_reviewer_rejects(changed, code):
    assert code in codes(linter.of_disclosure(words(**changed)))


@pytest.mark.parametrize("channel", ["call", "whatsapp", "email"])
def test_every_box_is_for_its_own_way_alone(channel):
    assert codes(linter.of_disclosure(words(channel, checkbox_label=BOX))) == ["channels_bundled"]


def test_rates_help_and_sms_are_asked_of_text_messages_only():
    bare = ("Acme will call this number and read out a security code.", "One call per request.")
    assert linter.of_disclosure(words("call", lines=bare)) == []
    assert codes(linter.of_disclosure(words("whatsapp", lines=bare))) == ["help_missing", "rates_missing"]


def test_in_a_language_that_we_cannot_read_only_what_is_never_translated_is_looked_for():
    german = words(
        language="de",
        lines=(
            "Acme schickt einen Einmalcode per SMS.",
            "Eine Nachricht je Anfrage.",
            "Standard message and data rates may apply. (Es können Kosten anfallen.)",
            "Antworten Sie HELP für Hilfe.",
        ),
        checkbox_label="Ich möchte Einmalcodes von Acme per SMS erhalten.",
    )
    assert linter.of_disclosure(german) == []
    broken = replace(german, lines=("Acme schickt einen Code.", "Hilfe: HILFE"), checkbox_label="Ja, per WhatsApp")
    assert codes(linter.of_disclosure(broken)) == [
        "channels_bundled",
        "help_missing",
        "rates_missing",
        "sms_not_named",
    ]


def test_a_programme_may_be_called_what_it_likes(settings):
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "name": "Call Me Email"}
    assert linter.findings() == []


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"message_frequency": ""}, ["frequency_missing"]),
        ({"message_frequency": "Whatever we like"}, ["frequency_missing"]),
        ({"support": ""}, ["contact_missing"]),
        ({"terms_url": ""}, ["contact_missing", "terms_without_rates"]),
        ({"terms_url": "http://localhost:8000/terms"}, ["contact_missing", "terms_without_rates"]),
        ({"terms_url": "ftp://acme.example/terms"}, ["contact_missing", "terms_without_rates"]),
        ({"privacy_url": ""}, ["privacy_policy_incomplete"]),
        ({"privacy_url": "https://intranet.internal/privacy"}, ["privacy_policy_incomplete"]),
        ({"terms_url": "/terms/", "privacy_url": "/privacy/"}, []),
    ],
)
def test_facts_that_a_reviewer_rejects(settings, facts, found):
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, **facts}
    assert codes(linter.findings()) == found


def test_text_messages_must_not_be_the_only_way(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms"]
    assert codes(linter.findings()) == ["sms_only"]


class OurPagesAreMissing(ModuleType):
    urlpatterns = ()


def test_a_reviewer_must_be_able_to_see_the_tick():
    with override_settings(ROOT_URLCONF=OurPagesAreMissing("empty")):
        assert codes(linter.findings()) == ["opt_in_page_missing"]


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        (TERMS, []),
        ("Message & data rates may apply. Support: +1 202 555 0143", []),
        ("Msg and data rates may apply. See /help", []),
        (TERMS.replace("Message and data rates may apply.", ""), ["terms_without_rates"]),
        ("Message and data rates may apply.", ["contact_missing"]),
        ("<style>.a { content: 'HELP' }</style>Nothing.", ["contact_missing", "terms_without_rates"]),
    ],
)
def test_the_page_of_the_terms(settings, terms, found):
    assert codes(linter.findings(terms=terms)) == found


@pytest.mark.parametrize(
    ("privacy", "found"),
    [
        (PRIVACY, []),
        ("<p>No mobile information will be shared with third parties for marketing.</p>", []),
        ("Text messaging originator opt-in data is never sold.", []),
        ("We share your phone number with partners.", ["privacy_policy_incomplete"]),
        ("We do not share your name. We use your mobile number.", ["privacy_policy_incomplete"]),
        ("", ["privacy_policy_incomplete"]),
    ],
)
def test_the_page_of_the_privacy_policy(privacy, found):
    assert codes(linter.findings(privacy=privacy)) == found


def test_every_code_says_how_to_mend_it():
    expected = [
        "consent_unclear",
        "purpose_missing",
        "frequency_missing",
        "sms_not_named",
        "sms_only",
        "opt_in_page_missing",
        "channels_bundled",
        "contact_missing",
        "terms_without_rates",
        "rates_missing",
        "help_missing",
        "terms_bundled",
        "privacy_policy_incomplete",
    ]
    assert list(linter.REMEDIES) == expected
    assert all(remedy.endswith((".", "”")) for remedy in linter.REMEDIES.values())


def test_languages_are_those_that_the_site_chose(settings):
    assert linter.chosen_languages() == ["en"]
    assert len(linter.every_language()) == len(global_settings.LANGUAGES)
    settings.LANGUAGES = [("de", "Deutsch"), ("en", "English")]
    assert linter.chosen_languages() == linter.every_language() == ["en", "de"]
    settings.USE_I18N = False
    assert linter.every_language() == ["en"]


# -------------------------------------------------------------------------------------------------------- the command


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("check_disclosures", *arguments, stdout=said, no_color=True)
    return said.getvalue()


def test_the_command_is_content_with_a_good_site(tmp_path):
    terms, privacy = tmp_path / "terms.html", tmp_path / "privacy.txt"
    terms.write_text(TERMS)
    privacy.write_text(PRIVACY)
    assert run("--terms", str(terms), "--privacy", str(privacy)) == (
        "Nothing found that a reviewer is known to reject.\n"
    )
    assert "Not read: the page of the terms" in run("--language", "en")


def test_the_command_prints_a_table_and_fails(settings):
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "message_frequency": "Maybe"}
    settings.TWILIO_VERIFY_CHANNELS = ["sms"]
    said = StringIO()
    with pytest.raises(CommandError, match="2 to mend") as failed:
        call_command("check_disclosures", "--language=en", stdout=said, no_color=True)
    assert failed.value.returncode == 1
    text = said.getvalue()
    assert re.search(r"^sms_only  +TWILIO_VERIFY_CHANNELS  Text messages are the only way\.$", text, re.MULTILINE)
    assert re.search(r"^frequency_missing  sms, en  +The text does not say how often", text, re.MULTILINE)
    assert text.count(linter.REMEDIES["sms_only"]) == 1


def test_a_page_that_cannot_be_read_is_told_without_a_traceback(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        run("--terms", str(tmp_path / "nowhere"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match="UnicodeDecodeError"):
        run("--privacy", str(tmp_path / "binary"))
