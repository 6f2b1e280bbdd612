"""Forms of a site's own pages: ask for a recipient with consent, and for the code that was sent."""

from .recipients import ConsentForm, EmailForm, PhoneForm
from .verification import CodeForm, RecoveryCodeForm

__all__ = ["CodeForm", "ConsentForm", "EmailForm", "PhoneForm", "RecoveryCodeForm"]
