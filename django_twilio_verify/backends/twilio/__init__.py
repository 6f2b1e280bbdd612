"""The backend for Twilio Verify. Nothing else imports the SDK, and this only when it is first used."""

from .backend import TwilioBackend

__all__ = ["TwilioBackend"]
