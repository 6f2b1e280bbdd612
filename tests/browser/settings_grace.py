"""The shop, where everybody needs a second factor, and has two weeks to add it."""

from shop.settings import *  # noqa: F403  all of them, as they stand

TWILIO_VERIFY_REQUIRED_FOR = "everyone"
TWILIO_VERIFY_GRACE_DAYS = 14
