"""Two-factor authentication by phone and email on Twilio Verify, with consent on record."""

__version__ = "0.1.0"
