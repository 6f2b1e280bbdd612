"""A router that keeps the consent ledger in a database of its own."""

from django_twilio_verify.models import LEDGER_MODELS


class LedgerRouter:
    ledger = "ledger"

    def db_for_read(self, model, **hints):
        meta = model._meta
        ours = meta.app_label == "twilio_verify" and meta.model_name in LEDGER_MODELS
        return self.ledger if ours else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if app_label != "twilio_verify":
            return False if db == self.ledger else None
        if model_name is None:
            return None
        return (model_name in LEDGER_MODELS) == (db == self.ledger)
