"""Where simple-salesforce finds the stand-in org: it speaks https to *.salesforce.com only."""

from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from checks import URL

DOMAIN = "fake.my"


class AtTheFake(HTTPAdapter):
    """Stands for a name server in which the login hosts are the stand-in org."""

    def send(self, request, **options):
        asked = urlsplit(request.url)
        if asked.hostname.endswith(".salesforce.com"):
            request.headers["Host"] = asked.netloc
            request.url = request.url.replace(f"https://{asked.netloc}", URL, 1)
        elif URL.startswith("http://") and asked.netloc == urlsplit(URL).netloc:
            # The client says https whatever the instance URL says.
            request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


def session():
    session = requests.Session()
    session.mount("https://", AtTheFake())
    return session
