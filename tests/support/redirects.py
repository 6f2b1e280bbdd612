"""Where ``next`` may lead."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

from django_twilio_verify import urls


def browser_goes_to(location: str) -> str:
    """The host that a browser goes to, as the URL standard has it: it drops tabs and line ends, strips what is not
    printed, and takes backslashes for slashes.
    """
    text = re.sub(r"[\t\r\n]", "", location).strip("".join(map(chr, range(0x21)))).replace("\\", "/")
    scheme = re.match(r"([a-z][a-z0-9+.-]*):", text, re.IGNORECASE)
    if scheme and scheme[1].lower() not in ("http", "https"):
        return text
    text = re.sub(r"^(https?):/*", r"\1://", text, flags=re.IGNORECASE)
    text = re.sub(r"^//+", "//", text)
    return urlsplit(urljoin("http://testserver/verify/x/", text)).netloc


def stays(response) -> bool:
    """Whether neither the redirect, nor a link or form of the page, nor its fields lead off the site."""
    headers = str(response.headers)
    assert "\r" not in headers.replace("\\r", "") and "Set-Cookie: evil" not in headers
    assert "evil" not in response.cookies
    if "Location" in response.headers:
        return browser_goes_to(response["Location"]) == "testserver"
    html = response.content.decode()
    kept = re.findall(r'name="next" value="([^"]*)"', html)
    inside = [unquote(one) for one in re.findall(r'[?&;]next=([^"&]*)"', html)]
    links = re.findall(r'(?:href|action)="([^"]*)"', html)
    ours = [one for one in links if not one.startswith(("https://acme.example", "mailto:"))]
    return all(browser_goes_to(one) == "testserver" for one in (*kept, *inside, *ours))


def paths() -> list[str]:
    """Every page of ours, with what its address needs."""
    values = {"int": "987654", "uuid": "{verification}", "str": "sms"}
    found = ["/verify/" + re.sub(r"<(\w+):\w+>", lambda m: values[m[1]], str(one.pattern)) for one in urls.urlpatterns]
    return [path for path in found if "webhooks" not in path]
