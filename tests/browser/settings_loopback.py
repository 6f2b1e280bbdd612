"""The shop, whose messages and factors go to the Verify Service of a test instead of to its own page.

``LOOPBACK``: what ``VerifyServer.setting()`` gives, as JSON.
"""

import json
import os

from shop.settings import *  # noqa: F403  all of them, as they stand

TWILIO_VERIFY_BACKENDS = json.loads(os.environ["LOOPBACK"])
