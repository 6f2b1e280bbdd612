"""Everything that an exception shows."""

from __future__ import annotations

import traceback
from typing import Any

from django.test import RequestFactory
from django.views.debug import ExceptionReporter

# ------------------------------------------------------------------------------- nothing gets about


def in_the_package(error: BaseException) -> Any:
    """The traceback from the first frame of ours on: what comes before is the test, which knows the
    code.
    """
    trace = error.__traceback__
    while trace and "django_twilio_verify" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return trace


def everything_shown(error: BaseException) -> str:
    """What a log, a console and Django's error report would show of ``error``."""
    text = "".join(traceback.format_exception(error))
    request = RequestFactory().get("/")
    report = ExceptionReporter(request, type(error), error, in_the_package(error))
    return f"{text} {error!r} {error} {report.get_traceback_text()} {report.get_traceback_html()}"
