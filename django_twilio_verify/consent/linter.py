"""What reviewers of Twilio's and the carriers' reject in words that ask for consent, found before they do.

Every finding has a code of one or more words, listed in ``REMEDIES``, and a reference: the number under which Twilio
reports such a rejection (toll-free verification, A2P 10DLC registration). A finding is what a program can see: no
finding is no promise that a reviewer is content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import global_settings
from django.conf import settings as django_settings
from django.urls import NoReverseMatch, reverse
from django.utils import translation

from ..backends.twilio.rejections import REJECTIONS
from ..channels import CHANNELS, RATES
from ..choices import Channel
from ..conf import Program, settings
from ..ledger.disclosure_text import Disclosure
from . import disclosures

REMEDIES: Mapping[str, str] = {
    "consent_unclear": "Let the label of the box say that the person agrees, to what and from whom: "
    "“I agree to get one-time security codes from … by text message (SMS).”",
    "purpose_missing": "Say in the first line who sends and what: “… will send a one-time security code …”.",
    "frequency_missing": "Set message_frequency in TWILIO_VERIFY_PROGRAM to how often: “One message per request”.",
    "sms_not_named": "Name SMS, in the text and in the label of the box.",
    "sms_only": "Offer another way beside sms in TWILIO_VERIFY_CHANNELS.",
    "opt_in_page_missing": "Include django_twilio_verify.urls, so that a reviewer can open the page “opt_in” without "
    "an account, and give its address when you register.",
    "channels_bundled": "One box for one way: name no other way in this label.",
    "contact_missing": "Set support and terms_url in TWILIO_VERIFY_PROGRAM, and say on the page of the terms where to "
    "get help.",
    "terms_without_rates": "Say on the page of the terms: “Message and data rates may apply.”",
    "rates_missing": f"Show this sentence as it is, in English, whatever the language of the page: “{RATES}”",
    "help_missing": "Say how to get help: “Reply HELP for help”. Keep the word HELP in every language.",
    "terms_bundled": "Keep the box apart from the terms: its label must not speak of terms or privacy policy.",
    "privacy_policy_incomplete": "Say in the privacy policy that mobile numbers and the consent to text messages are "
    "not shared with third parties, or sold to them, for their marketing.",
}
"""Every code that is looked for, and how to mend it."""

# For the words of languages that we cannot read, only what no translation changes is looked for.
_CODE = re.compile(r"\b(?:security|verification|one-time|sign-in|login) (?:pass)?codes?\b", re.IGNORECASE)
_OFTEN = re.compile(
    r"\d|\b(?:one|once|two|per|each|every|whenever|only when|var(?:y|ies)|frequency|daily|weekly|monthly)\b",
    re.IGNORECASE,
)
_AGREES = re.compile(r"\b(?:agree|consent|opt in)\b", re.IGNORECASE)
_OF_TERMS = re.compile(r"\b(?:terms|conditions|privacy|polic(?:y|ies))\b", re.IGNORECASE)
_MENTIONS = {channel: row.disclosure.mentions for channel, row in CHANNELS.items() if row.disclosure is not None}
_OTHER_CHANNELS = {
    channel: re.compile("|".join(words for one, words in _MENTIONS.items() if words and one != channel), re.IGNORECASE)
    for channel in _MENTIONS
}
_RATES = re.compile(r"(?:message|msg)s?\s+(?:and|&)\s+data\s+rates\s+(?:may|might)\s+apply", re.IGNORECASE)
_CONTACT = re.compile(r"\bHELP\b|[\w.+-]+@[\w-]+\.[\w.]+|\+?\d[\d ()-]{6,}\d|(?:/|\b)(?:help|support|contact)\b")
_SHARED = re.compile(
    r"\b(?:shar(?:e|es|ed|ing)|s(?:ell|ells|old|elling)|disclos(?:e|es|ed|ing)|transfer(?:s|red)?)\b", re.I
)
_NOT = re.compile(r"\b(?:not|never|no|nobody|without)\b|n['’]t\b", re.IGNORECASE)
_MOBILE = re.compile(r"\b(?:mobile|text messag|SMS|phone number|opt-in|originator)", re.IGNORECASE)
_TAG = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a reviewer would reject.

    ``code``: a key of ``REMEDIES``. ``where``: channel and language, a setting or a page.
    """

    code: str
    where: str
    problem: str

    @property
    def remedy(self) -> str:
        """How to mend it."""
        return REMEDIES[self.code]

    @property
    def reference(self) -> str:
        """Twilio's name for such a rejection, as "Twilio error 30545"."""
        return reference(self.code)


def reference(code: str) -> str:
    """Twilio's name for what the finding ``code`` is about, as "Twilio error 30545"."""
    return f"Twilio error {REJECTIONS[code]}"


def findings(
    *,
    languages: Iterable[str] | None = None,
    terms: str | None = None,
    privacy: str | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> list[Finding]:
    """All that is wrong with this site's disclosures and programme facts.

    ``languages``: tags to compose the disclosures in, those of ``LANGUAGES`` by default. ``terms`` and ``privacy``: the
    text or HTML of the two pages, in English, where it is at hand; nothing is fetched. ``progress``: called with the
    number of languages done.
    """
    found = [*of_site(), *of_program(settings.program)]
    for done, language in enumerate(every_language() if languages is None else languages, 1):
        with translation.override(language):
            for channel in settings.channels:
                found += of_disclosure(disclosures.compose(channel))
        progress(done)
    if terms is not None:
        found += of_terms(terms, settings.program)
    if privacy is not None:
        found += of_privacy(privacy)
    return found


def every_language() -> list[str]:
    """The tags of ``LANGUAGES``; of a site without translations, its one language."""
    if not django_settings.USE_I18N:
        return [django_settings.LANGUAGE_CODE]
    return list(dict.fromkeys([django_settings.LANGUAGE_CODE, *(tag for tag, _ in django_settings.LANGUAGES)]))


def chosen_languages() -> list[str]:
    """As ``every_language`` where the site has set ``LANGUAGES``, else its own: Django's default is a hundred, whose
    catalogues take seconds to read.
    """
    return (
        every_language() if django_settings.LANGUAGES != global_settings.LANGUAGES else [django_settings.LANGUAGE_CODE]
    )


def of_disclosure(shown: Disclosure) -> list[Finding]:
    """What is wrong with one disclosure: of the app's making, or of a site's own."""
    where = f"{shown.channel.value}, {shown.language}"
    is_english = shown.language.partition("-")[0] == "en"
    problems = [*_label_problems(shown, is_english), *_text_problems(shown, is_english)]
    return [Finding(code, where, problem) for code, problem in problems]


def _label_problems(shown: Disclosure, is_english: bool) -> Iterable[tuple[str, str]]:
    label = shown.checkbox_label
    if not label.strip() or (is_english and not _AGREES.search(label)):
        yield "consent_unclear", "The label of the box does not say that the person agrees."
    if _OF_TERMS.search(label):
        yield "terms_bundled", "The label of the box speaks of the terms or the privacy policy."
    # The name of the programme may hold such a word: "Call Me Maybe Inc."
    if _OTHER_CHANNELS[shown.channel].search(label.replace(str(settings.program.name) or "\0", "")):
        yield "channels_bundled", "The label of the box names another way too."
    if shown.channel == Channel.SMS and "SMS" not in label:
        yield "sms_not_named", "The label of the box does not name SMS."


def _text_problems(shown: Disclosure, is_english: bool) -> Iterable[tuple[str, str]]:
    lines, text = [line for line in shown.lines if line.strip()], shown.text
    if not lines or (is_english and not _CODE.search(lines[0])):
        yield "purpose_missing", "The first line does not say what the messages are for."
    if is_english and not _OFTEN.search(" ".join(lines[1:])):
        yield "frequency_missing", "The text does not say how often messages come."
    if shown.channel == Channel.SMS and "SMS" not in text:
        yield "sms_not_named", "The text does not name SMS."
    words = shown.channel.row.disclosure
    has_keywords = words is not None and words.has_keywords
    if has_keywords and RATES not in text:
        yield "rates_missing", "The sentence on message and data rates is missing, or not as it has to be."
    if has_keywords and not re.search(r"\bHELP\b", text):
        yield "help_missing", "The text does not say how to get help."


def of_program(program: Program) -> list[Finding]:
    """What is wrong with the facts of ``TWILIO_VERIFY_PROGRAM`` and with the ways that are offered."""
    where = "TWILIO_VERIFY_PROGRAM"
    found = []
    if not str(program.message_frequency).strip():
        found.append(Finding("frequency_missing", where, "message_frequency is missing."))
    if not str(program.support).strip():
        found.append(Finding("contact_missing", where, "support is missing."))
    for code, name in (
        ("contact_missing", "terms_url"),
        ("terms_without_rates", "terms_url"),
        ("privacy_policy_incomplete", "privacy_url"),
    ):
        if problem := _address_problem(str(getattr(program, name))):
            found.append(Finding(code, where, f"{name} {problem}: a reviewer cannot read that page."))
    if settings.channels and {channel.consent_channel for channel in settings.channels} <= {Channel.SMS}:
        found.append(Finding("sms_only", "TWILIO_VERIFY_CHANNELS", "Text messages are the only way."))
    return found


def _address_problem(url: str) -> str:
    """Why nobody outside could open ``url``; a path of this site's own is fine."""
    parts = urlsplit(url)
    if not url.strip():
        return "is missing"
    if parts.scheme not in ("", "https", "http") or (parts.scheme and not parts.netloc):
        return "is no address of a page"
    host = (parts.hostname or "").lower()
    if host in ("localhost", "127.0.0.1", "::1") or host.endswith((".local", ".test", ".localhost", ".internal")):
        return "leads to a machine that is not public"
    return ""


def of_site() -> list[Finding]:
    """Whether a reviewer can see how consent is asked."""
    try:
        reverse("twilio_verify:opt_in")
    except NoReverseMatch:
        problem = "The page that shows how consent is asked is not there."
        return [Finding("opt_in_page_missing", "the site's URLs", problem)]
    return []


def of_terms(page: str, program: Program) -> list[Finding]:
    """What the page of the terms lacks. ``page``: text or HTML, in English."""
    text, found = plain(page), []
    support = str(program.support).strip()
    if not (support and support in text) and not _CONTACT.search(text):
        found.append(Finding("contact_missing", "the terms", "They do not say whom to ask for help."))
    if not _RATES.search(text):
        found.append(
            Finding("terms_without_rates", "the terms", "They do not say that message and data rates may apply.")
        )
    return found


def of_privacy(page: str) -> list[Finding]:
    """What the page of the privacy policy lacks. ``page``: text or HTML, in English."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n{2,}", plain(page)):
        if _SHARED.search(sentence) and _NOT.search(sentence) and _MOBILE.search(sentence):
            return []
    return [
        Finding(
            "privacy_policy_incomplete",
            "the privacy policy",
            "It does not say that mobile data and consent are not shared.",
        )
    ]


def plain(page: str) -> str:
    """``page`` without the marks of HTML."""
    return _TAG.sub(" ", page)


def table(found: Sequence[Finding]) -> str:
    """``found`` as lines of text, one finding each, columns aligned, with the remedy of each code once below."""
    if not found:
        return ""
    codes = sorted({finding.code for finding in found})
    wide, width = max(map(len, codes)), max(len(finding.where) for finding in found)
    lines = [f"{finding.code:<{wide}}  {finding.where:<{width}}  {finding.problem}" for finding in found]
    return "\n".join(
        [
            f"{'Code':<{wide}}  {'Where':<{width}}  Problem",
            *lines,
            "",
            "How to mend it",
            *(f"{code:<{wide}}  {REMEDIES[code]} ({reference(code)})" for code in codes),
        ]
    )
