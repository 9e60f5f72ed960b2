"""Pages whose text is encoded in every way but a plain one."""

import codecs
from dataclasses import dataclass

from tests.faulty.message import Answer, Request, html
from tests.faulty.pages import Page

WESTERN = "Café – “naïve” for 5 €"
JAPANESE = "日本語のページ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """How a page is written (`codec`, `bom`) and what header (`charset`) and page (`meta`) claim about it."""

    text: str
    codec: str
    bom: bytes = b""
    charset: str | None = None
    meta: str = ""

    @property
    def answer(self) -> Answer:
        meta = f'<meta charset="{self.meta}">' if self.meta else ""
        return Answer(
            content_type=f"text/html; charset={self.charset}" if self.charset else "text/html",
            body=self.bom + html(self.text, meta=meta).encode(self.codec, errors="surrogateescape"),
        )


ENCODINGS: dict[str, Encoded] = {
    "windows-1252": Encoded(text=WESTERN, codec="cp1252", charset="windows-1252"),
    # the browsers' reading: the label iso-8859-1 means windows-1252 (WHATWG Encoding §4.2)
    "iso-8859-1": Encoded(text=WESTERN, codec="cp1252", charset="iso-8859-1"),
    "shift_jis": Encoded(text=JAPANESE, codec="shift_jis", meta="shift_jis"),
    "utf-16": Encoded(text=JAPANESE, codec="utf-16-le", bom=codecs.BOM_UTF16_LE),
    "utf-16-be": Encoded(text=JAPANESE, codec="utf-16-be", bom=codecs.BOM_UTF16_BE),
    "euc-jp": Encoded(text=JAPANESE, codec="utf-8", bom=codecs.BOM_UTF8, charset="euc-jp"),
    "header-over-meta": Encoded(text=JAPANESE, codec="euc-jp", charset="euc-jp", meta="shift_jis"),
    "none": Encoded(text=WESTERN, codec="utf-8"),
    "unknown": Encoded(text=WESTERN, codec="utf-8", charset="x-unheard-of"),
    "invalid": Encoded(text="Half a c\udce9dille", codec="utf-8", charset="utf-8"),
}

TEXTS: dict[str, str] = {name: encoded.text for name, encoded in ENCODINGS.items()} | {
    "invalid": "Half a c\ufffddille"
}
"""The title and h1 of each /encoding/NAME as a browser shows it."""


def encoding(request: Request) -> Answer:
    """/encoding/NAME, for the names in `TEXTS`."""
    return ENCODINGS[request.rest].answer


PAGES: dict[str, Page] = {"encoding": encoding}
