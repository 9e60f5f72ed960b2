"""Which character encoding a page's bytes are in, decided as browsers decide it."""

import re
from codecs import charmap_decode, utf_8_decode
from collections.abc import Callable
from functools import lru_cache

import webencodings

PRESCAN_BYTES = 1024  # how far the HTML standard looks for a declaration before it parses

_UNDECLARED = "windows-1252"  # what browsers take in most locales: HTML standard §13.2.3.2, the last step
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

_CHARSET_PARAMETER = re.compile(r""";\s*charset\s*=\s*["']?\s*([^\s;,"']+)""", re.IGNORECASE)
_TAG = re.compile(
    rb"<(?:(?P<comment>!--)|(?P<meta>meta)(?=[\t\n\f\r /])|(?P<bogus>[!?]|/(?![a-z]))|/?[a-z])",
    re.IGNORECASE,
)
_END_OF_NAME = re.compile(rb"[\t\n\f\r >]")
# The standard's "get an attribute": a name and perhaps a value, or the tag's `>`. No match: bytes ran out.
_ATTRIBUTE = re.compile(
    rb"""[\t\n\f\r /]*+ (?: (?P<end>>) | (?P<name>[^\t\n\f\r />][^\t\n\f\r />=]*+) [\t\n\f\r ]*+
         (?: =[\t\n\f\r ]*+ (?: "(?P<double>[^"]*+)" | '(?P<single>[^']*+)' | (?=>)
                              | (?P<bare>[^\t\n\f\r >"'][^\t\n\f\r >]*+)(?=[\t\n\f\r >]) )
           | (?=[^=]) ) )""",
    re.VERBOSE,
)
_CONTENT_CHARSET = re.compile(
    rb"""charset[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*+)"|'([^']*+)'|([^"'\t\n\f\r ;][^\t\n\f\r ;]*+))?"""
)
_XML_DECLARATION = re.compile(
    rb"""<\?xml(?>[^>]*?encoding)[\x00-\x20]*+=[\x00-\x20]*+(["'])([^\x00-\x20>]*?)\1[^>]*+>"""
)

# Where the tables of the Encoding Standard (§9) say more than Python's codecs of the same name.
_AMENDED = {"koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"}, "windows-1255": {0xCA: "\u05ba"}}


def sniff(body: bytes, content_type: str | None) -> str:
    """Name the encoding of `body` as the Encoding Standard does, in lower case: `utf-8`, `windows-1252`.

    The byte order mark decides, then the Content-Type header, then what the document declares: in its first
    1,024 bytes (HTML standard §13.2.3.2) or later (§13.2.3.4). JSON and XML that declare nothing are UTF-8
    (RFC 8259 §8.1, XML 1.0 §4.3.3). Any other silent body is UTF-8 if all of it is valid UTF-8, else
    windows-1252; plain ASCII, which reads the same in both, is called windows-1252 as in a browser.
    """
    if body.startswith(_BOMS):
        return _bom(body)[0]
    charset, kind = _header(content_type)
    if charset is not None:
        return charset
    if kind == "html":
        return prescan(body) or _late(body) or _guess(body)
    return (kind == "xml" and _xml_encoding(body)) or "utf-8"


def prescan(body: bytes) -> str | None:
    """What the first 1,024 bytes declare, by `<meta>` or `<?xml … ?>`: HTML standard §13.2.3.2."""
    return _scan(body[:PRESCAN_BYTES])


def decode(body: bytes, encoding: str) -> str:
    """Turn bytes into text: a byte order mark overrides `encoding` and is dropped, bad bytes become U+FFFD.

    `encoding` is any label of the Encoding Standard (§4.2; "decode" is §6.1). Raises LookupError on others.
    """
    if body.startswith(_BOMS):
        encoding, body = _bom(body)
    if encoding == "utf-8":
        return body.decode("utf-8", "replace")
    return _decoder(encoding)(body)


def _bom(body: bytes) -> tuple[str, bytes]:
    if body.startswith(b"\xef\xbb\xbf"):
        return "utf-8", body[3:]
    return "utf-16le" if body.startswith(b"\xff\xfe") else "utf-16be", body[2:]


@lru_cache(maxsize=1024)
def _header(content_type: str | None) -> tuple[str | None, str]:
    """The charset that the header names, where there is such an encoding, and the kind of document."""
    if content_type is None:
        return None, "html"
    parameter = _CHARSET_PARAMETER.search(content_type)
    charset = _named(parameter[1]) if parameter else None
    subtype = content_type.partition(";")[0].strip().lower().replace("+", "/").rpartition("/")[2]
    return charset, subtype if subtype in ("json", "xml") else "html"


def _named(label: str) -> str | None:
    """The encoding that has this label: "get an encoding", Encoding Standard §4.2."""
    encoding = webencodings.lookup(label)
    return None if encoding is None else str(encoding.name)


def _scan(data: bytes) -> str | None:
    """The standard's "prescan a byte stream to determine its encoding", over all of `data`."""
    position = 0
    while tag := _TAG.search(data, position):
        attributes, position = _read(tag, data)
        if tag["meta"] and (encoding := _meta_encoding(attributes)):
            return encoding
    return _xml_encoding(data)


def _read(tag: re.Match[bytes], data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The tag's attributes, and where to go on behind it: at the end of `data` if that cuts it off."""
    if tag["comment"]:  # the dashes of `<!--` may be those of `-->` too
        return {}, _behind(b"-->", data, tag.start() + 2)
    if tag["bogus"]:
        return {}, _behind(b">", data, tag.start())
    if tag["meta"]:
        return _attributes(data, tag.end())
    end_of_name = _END_OF_NAME.search(data, tag.end())
    return _attributes(data, end_of_name.start() if end_of_name else len(data))


def _behind(mark: bytes, data: bytes, start: int) -> int:
    found = data.find(mark, start)
    return len(data) if found < 0 else found + len(mark)


def _attributes(data: bytes, position: int) -> tuple[dict[bytes, bytes], int]:
    found: dict[bytes, bytes] = {}
    while attribute := _ATTRIBUTE.match(data, position):
        position = attribute.end()
        if attribute["end"]:
            return found, position
        value = attribute["double"] or attribute["single"] or attribute["bare"] or b""
        found.setdefault(attribute["name"].lower(), value.lower())
    return {}, len(data)


def _meta_encoding(attributes: dict[bytes, bytes]) -> str | None:
    """What a `<meta>` declares: `charset` goes before `content`, which needs its http-equiv."""
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv") == b"content-type":
        charset = _CONTENT_CHARSET.search(attributes.get(b"content", b""))
        label = charset and next(filter(None, charset.groups()), None)
    encoding = _declared(label or b"")
    return "windows-1252" if encoding == "x-user-defined" else encoding


def _xml_encoding(data: bytes) -> str | None:
    """What a leading XML declaration says: the standard's "get an XML encoding"."""
    if data.startswith((b"<\0?\0x\0", b"\0<\0?\0x")):
        return "utf-16be" if data.startswith(b"\0") else "utf-16le"
    declaration = _XML_DECLARATION.match(data, 0, PRESCAN_BYTES)
    return _declared(declaration[2]) if declaration else None


def _declared(label: bytes) -> str | None:
    """The encoding meant by a label found in the bytes: read as ASCII, they can't be in UTF-16."""
    encoding = _named(label.decode("latin-1"))
    return "utf-8" if encoding in ("utf-16le", "utf-16be") else encoding


def _late(body: bytes) -> str | None:
    """A declaration beyond the prescan, where a parser would meet it and start again (§13.2.3.4)."""
    if len(body) <= PRESCAN_BYTES or b"charset" not in body.lower():
        return None
    return _scan(body)


def _guess(body: bytes) -> str:
    if body.isascii():
        return _UNDECLARED
    try:
        utf_8_decode(body, "strict", False)  # not final: a body cut off within a character is still UTF-8
    except UnicodeDecodeError:
        return _UNDECLARED
    return "utf-8"


@lru_cache(maxsize=64)
def _decoder(label: str) -> Callable[[bytes], str]:
    encoding = webencodings.lookup("gb18030" if _named(label) == "gbk" else label)  # one decoder: §10.1.1
    if encoding is None:
        raise LookupError(f"The Encoding Standard knows no encoding {label!r}. It knows utf-8 and latin1.")
    if encoding.name == "replacement":  # §14.1: nothing in there can be read safely
        return lambda body: "\ufffd" if body else ""
    if encoding.name.startswith("windows-") or encoding.name in _AMENDED:
        return _table_decoder(encoding.name, encoding.codec_info.name)
    decode_all = encoding.codec_info.decode
    return lambda body: str(decode_all(body, "replace")[0])


def _table_decoder(encoding: str, codec: str) -> Callable[[bytes], str]:
    """Single bytes by the Encoding Standard's table (§9): where Python has a gap, it has a C1 control."""
    characters = {byte: bytes([byte]).decode(codec, "replace") for byte in range(256)}
    if encoding.startswith("windows-"):
        characters |= {byte: chr(byte) for byte in range(0x80, 0xA0) if characters[byte] == "\ufffd"}
    characters |= _AMENDED.get(encoding, {})
    table = "".join(characters.values())
    # ASCII is 30 times faster without the table
    return lambda body: body.decode("ascii") if body.isascii() else charmap_decode(body, "replace", table)[0]
