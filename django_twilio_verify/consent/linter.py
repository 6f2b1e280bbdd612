"""What reviewers of Twilio's and the carriers' reject in words that ask for consent, found before they do.

The codes are those of Twilio's error dictionary (https://www.twilio.com/docs/api/errors) for toll-free verification and
A2P 10DLC registration; their meanings are in ``REMEDIES``. A finding is what a program can see: no finding is no
promise that a reviewer is content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import global_settings
from django.conf import settings as django_settings
from django.urls import NoReverseMatch, reverse
from django.utils import translation

from ..channels import CHANNELS, RATES
from ..choices import Channel
from ..conf import Program, settings
from ..ledger.disclosure_text import DisclosureText
from . import disclosures

REMEDIES: Mapping[str, str] = {
    "30513": "Let the label of the box say that the person agrees, to what and from whom: "
    "“I agree to get one-time security codes from … by text message (SMS).”",
    "30544": "Say in the first line who sends and what: “… will send a one-time security code …”.",
    "30545": "Set message_frequency in TWILIO_VERIFY_PROGRAM to how often: “One message per request”.",
    "30551": "Name SMS, in the text and in the label of the box.",
    "30553": "Offer another way beside sms in TWILIO_VERIFY_CHANNELS.",
    "30555": "Include django_twilio_verify.urls, so that a reviewer can open the page “opt_in” without an account, and "
    "give its address when you register.",
    "30556": "One box for one way: name no other way in this label.",
    "30560": "Set support and terms_url in TWILIO_VERIFY_PROGRAM, and say on the page of the terms where to get help.",
    "30562": "Say on the page of the terms: “Message and data rates may apply.”",
    "30569": f"Show this sentence as it is, in English, whatever the language of the page: “{RATES}”",
    "30570": "Say how to get help: “Reply HELP for help”. Keep the word HELP in every language.",
    "30841": "Keep the box apart from the terms: its label must not speak of terms or privacy policy.",
    "30932": "Say in the privacy policy that mobile numbers and the consent to text messages are not shared with third "
    "parties, or sold to them, for their marketing.",
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
    """One thing that a reviewer would reject. ``where``: channel and language, a setting or a page."""

    code: str
    where: str
    problem: str

    @property
    def remedy(self) -> str:
        """How to mend it."""
        return REMEDIES[self.code]


def findings(
    *, languages: Iterable[str] | None = None, terms: str | None = None, privacy: str | None = None
) -> list[Finding]:
    """All that is wrong with this site's disclosures and programme facts.

    ``languages``: tags to compose the disclosures in, those of ``LANGUAGES`` by default. ``terms`` and ``privacy``: the
    text or HTML of the two pages, in English, where it is at hand; nothing is fetched.
    """
    found = [*of_site(), *of_program(settings.program)]
    for language in every_language() if languages is None else languages:
        with translation.override(language):
            for channel in settings.channels:
                found += of_disclosure(disclosures.compose(channel))
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


def of_disclosure(shown: DisclosureText) -> list[Finding]:
    """What is wrong with one disclosure: of the app's making, or of a site's own."""
    where = f"{shown.channel.value}, {shown.language}"
    is_english = shown.language.partition("-")[0] == "en"
    problems = [*_label_problems(shown, is_english), *_text_problems(shown, is_english)]
    return [Finding(code, where, problem) for code, problem in problems]


def _label_problems(shown: DisclosureText, is_english: bool) -> Iterable[tuple[str, str]]:
    label = shown.checkbox_label
    if not label.strip() or (is_english and not _AGREES.search(label)):
        yield "30513", "The label of the box does not say that the person agrees."
    if _OF_TERMS.search(label):
        yield "30841", "The label of the box speaks of the terms or the privacy policy."
    # The name of the programme may hold such a word: "Call Me Maybe Inc."
    if _OTHER_CHANNELS[shown.channel].search(label.replace(str(settings.program.name) or "\0", "")):
        yield "30556", "The label of the box names another way too."
    if shown.channel == Channel.SMS and "SMS" not in label:
        yield "30551", "The label of the box does not name SMS."


def _text_problems(shown: DisclosureText, is_english: bool) -> Iterable[tuple[str, str]]:
    lines, text = [line for line in shown.lines if line.strip()], shown.text
    if not lines or (is_english and not _CODE.search(lines[0])):
        yield "30544", "The first line does not say what the messages are for."
    if is_english and not _OFTEN.search(" ".join(lines[1:])):
        yield "30545", "The text does not say how often messages come."
    if shown.channel == Channel.SMS and "SMS" not in text:
        yield "30551", "The text does not name SMS."
    words = shown.channel.row.disclosure
    has_keywords = words is not None and words.has_keywords
    if has_keywords and RATES not in text:
        yield "30569", "The sentence on message and data rates is missing, or not as it has to be."
    if has_keywords and not re.search(r"\bHELP\b", text):
        yield "30570", "The text does not say how to get help."


def of_program(program: Program) -> list[Finding]:
    """What is wrong with the facts of ``TWILIO_VERIFY_PROGRAM`` and with the ways that are offered."""
    where = "TWILIO_VERIFY_PROGRAM"
    found = []
    if not str(program.message_frequency).strip():
        found.append(Finding("30545", where, "message_frequency is missing."))
    if not str(program.support).strip():
        found.append(Finding("30560", where, "support is missing."))
    for code, name in (("30560", "terms_url"), ("30562", "terms_url"), ("30932", "privacy_url")):
        if problem := _address_problem(str(getattr(program, name))):
            found.append(Finding(code, where, f"{name} {problem}: a reviewer cannot read that page."))
    if settings.channels and {channel.consent_channel for channel in settings.channels} <= {Channel.SMS}:
        found.append(Finding("30553", "TWILIO_VERIFY_CHANNELS", "Text messages are the only way."))
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
        return [Finding("30555", "the site's URLs", problem)]
    return []


def of_terms(page: str, program: Program) -> list[Finding]:
    """What the page of the terms lacks. ``page``: text or HTML, in English."""
    text, found = plain(page), []
    support = str(program.support).strip()
    if not (support and support in text) and not _CONTACT.search(text):
        found.append(Finding("30560", "the terms", "They do not say whom to ask for help."))
    if not _RATES.search(text):
        found.append(Finding("30562", "the terms", "They do not say that message and data rates may apply."))
    return found


def of_privacy(page: str) -> list[Finding]:
    """What the page of the privacy policy lacks. ``page``: text or HTML, in English."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n{2,}", plain(page)):
        if _SHARED.search(sentence) and _NOT.search(sentence) and _MOBILE.search(sentence):
            return []
    return [Finding("30932", "the privacy policy", "It does not say that mobile data and consent are not shared.")]


def plain(page: str) -> str:
    """``page`` without the marks of HTML."""
    return _TAG.sub(" ", page)


def table(found: Sequence[Finding]) -> str:
    """``found`` as lines of text, one finding each, columns aligned, with the remedy of each code once below."""
    if not found:
        return ""
    width = max(len(finding.where) for finding in found)
    lines = [f"{finding.code}  {finding.where:<{width}}  {finding.problem}" for finding in found]
    codes = sorted({finding.code for finding in found})
    return "\n".join(
        [
            f"{'Code':<5}  {'Where':<{width}}  Problem",
            *lines,
            "",
            "How to mend it",
            *(f"{code}  {REMEDIES[code]}" for code in codes),
        ]
    )
