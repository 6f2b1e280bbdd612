"""QR codes, drawn here: no other server learns what is in one."""

from __future__ import annotations

import segno
from django.utils.safestring import SafeString, mark_safe


def svg(text: str) -> SafeString:
    """``text`` as a QR code: an ``<svg>`` that takes the size of what stands around it.

    Black on white with the quiet zone of ISO/IEC 18004, whatever the colours of the page: cameras need both. Colours
    are presentation attributes, not styles, so that a policy without ``unsafe-inline`` lets them be.
    """
    drawn = segno.make(text, error="m", boost_error=False, micro=False).svg_inline(
        border=4, omitsize=True, svgclass=None, lineclass=None, dark="#000", light="#fff"
    )
    return mark_safe(drawn)  # noqa: S308  SECURITY: made of numbers only: the text is in the dots
