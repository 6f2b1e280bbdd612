"""The numbers under which Twilio reports what reviewers reject in the words that ask for consent.

For toll-free verification and A2P 10DLC registration (https://www.twilio.com/docs/api/errors).
"""

from __future__ import annotations

from collections.abc import Mapping

REJECTIONS: Mapping[str, int] = {
    "consent_unclear": 30513,
    "purpose_missing": 30544,
    "frequency_missing": 30545,
    "sms_not_named": 30551,
    "sms_only": 30553,
    "opt_in_page_missing": 30555,
    "channels_bundled": 30556,
    "contact_missing": 30560,
    "terms_without_rates": 30562,
    "rates_missing": 30569,
    "help_missing": 30570,
    "terms_bundled": 30841,
    "privacy_policy_incomplete": 30932,
}
"""By the codes of ``consent.linter``'s findings. For users who look a rejection up: nothing decides by them."""
