"""A web site on loopback that breaks every promise a client may rely on.

    async with FaultySite() as site:
        await client.get(site.url + "/flaky/shop?fails=2&status=503")
        assert site.hits("/flaky/shop") == 3

What a URL does is a function of the URL alone, plus how often its path was asked for (`Request.visit`);
two sites never share state. A path is looked up in the tables at the end of `pages.py`, `redirects.py`,
`bodies.py` and `encodings.py` (sound HTTP) and of `raw.py` (broken HTTP).
"""

from tests.faulty.bodies import KNOWN_HTML
from tests.faulty.encodings import TEXTS
from tests.faulty.site import FaultySite

__all__ = ["KNOWN_HTML", "TEXTS", "FaultySite"]
