"""CSS on a page, with Scrapy's `h1::text` and `a::attr(href)`, over the selectolax (Lexbor) tree."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, overload

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

Root = LexborHTMLParser | LexborNode
Regex = str | re.Pattern[str]
Kind = Literal["element", "text", "all text", "attribute"]
Default = TypeVar("Default")
Found = TypeVar("Found")


class SelectorError(ValueError):
    """Names a selector that can't be read, or that doesn't select what it is used for."""


class Selection:
    """What a selector finds on a page or in an element. Nothing is searched before it is asked for.

        response.css("h1::text").get()              the first, or None
        response.css("a::attr(href)").getall()      all of them
        for book in response.css("article"):        elements to select in
            book.css("h3 a::attr(title)").get()

    Without a pseudo-element the strings are outer HTML. `h1::text` is each text directly in an h1,
    `h1 ::text` each text anywhere in it. Raises SelectorError.
    """

    __slots__ = ("_found", "_query", "_root")

    def __init__(self, root: "Root | Selection", css: str) -> None:
        self._root = root
        self._query = _read(css)
        self._found: list[Any] | None = None  # nodes, or strings after a pseudo-element

    @overload
    def get(self, default: None = None) -> str | None: ...
    @overload
    def get(self, default: Default) -> str | Default: ...
    def get(self, default: Any = None) -> Any:
        """The first string, or `default`."""
        if self._found is None and not isinstance(self._root, Selection):
            # the hot path: this search ends at the first match
            node = _search(self._root, self._query, self._root.css_first)
            if node is None:
                return default
            if (string := _first_string(node, self._query)) is not None:
                return string
        return next(iter(self.getall()), default)

    def getall(self) -> list[str]:
        """All strings, in the order of the page."""
        found = self._evaluated()
        return [node.html or "" for node in found] if self._query.kind == "element" else list(found)

    def re(self, pattern: Regex) -> list[str]:
        """What `pattern` finds in the strings, one after the other: its groups, if it has any."""
        return list(_matches(pattern, self.getall()))

    @overload
    def re_first(self, pattern: Regex, default: None = None) -> str | None: ...
    @overload
    def re_first(self, pattern: Regex, default: Default) -> str | Default: ...
    def re_first(self, pattern: Regex, default: Any = None) -> Any:
        """The first that `pattern` finds, or `default`."""
        return next(_matches(pattern, self._one_by_one()), default)

    def css(self, css: str) -> "Selection":
        """Select in each element, one after the other."""
        self._require_elements()
        return Selection(self, css)

    @property
    def first(self) -> "Element | None":
        """The first element."""
        self._require_elements()
        if self._found is None and not isinstance(self._root, Selection):
            node = _search(self._root, self._query, self._root.css_first)
        else:
            node = next(iter(self._evaluated()), None)
        return None if node is None else Element(node)

    @property
    def attrib(self) -> dict[str, str]:
        """The attributes of the first element; empty if nothing is found."""
        first = self.first
        return {} if first is None else first.attrib

    # Any: these are `Element`s or, after a pseudo-element, strings; no type can tell it from the selector

    def __iter__(self) -> Iterator[Any]:
        return map(Element, self._evaluated()) if self._query.kind == "element" else iter(self._evaluated())

    def __getitem__(self, index: int | slice) -> Any:
        return list(self)[index]

    def __len__(self) -> int:
        return len(self._evaluated())

    def __bool__(self) -> bool:
        return (self.first if self._query.kind == "element" else self.get()) is not None

    def __repr__(self) -> str:
        return f"<Selection {self._query.selector!r}>"

    def _evaluated(self) -> list[Any]:
        if self._found is None:
            roots = self._root._evaluated() if isinstance(self._root, Selection) else [self._root]
            self._found = [found for root in roots for found in _find(root, self._query)]
        return self._found

    def _one_by_one(self) -> Iterator[str]:
        if (first := self.get()) is not None:
            yield first
            yield from self.getall()[1:]

    def _require_elements(self) -> None:
        if self._query.kind != "element":
            raise SelectorError(
                f"{self._query.selector!r} selects strings, not elements. Use get() or getall()."
            )


class Element:
    """One element of a page. It keeps the whole page in memory."""

    __slots__ = ("node",)

    def __init__(self, node: LexborNode) -> None:
        self.node = node

    def css(self, css: str) -> Selection:
        """Select in this element, itself included. What is outside of it counts for nothing, as in Scrapy."""
        return Selection(self.node, css)

    def get(self) -> str:
        """Outer HTML."""
        return self.node.html or ""

    @property
    def text(self) -> str:
        """All text in it, in one string, whitespace kept."""
        return self.node.text()

    @property
    def tag(self) -> str:
        """`a`, in lower case."""
        return self.node.tag or ""

    @property
    def attrib(self) -> dict[str, str]:
        """Its attributes; one without a value is an empty string."""
        return {name: value or "" for name, value in self.node.attributes.items()}

    def re(self, pattern: Regex) -> list[str]:
        """What `pattern` finds in the outer HTML: its groups, if it has any."""
        return list(_matches(pattern, [self.get()]))

    def __repr__(self) -> str:
        return f"<Element {self.tag} {self.attrib}>"


def parse_html(body: bytes | str) -> LexborHTMLParser:
    """Build the tree that a browser without scripts builds. Bytes are UTF-8; a byte order mark is dropped."""
    if isinstance(body, str):
        return LexborHTMLParser(body.removeprefix("\ufeff"))
    return LexborHTMLParser(body.removeprefix(b"\xef\xbb\xbf"))


def _matches(pattern: Regex, strings: Iterable[str]) -> Iterator[str]:
    compiled = re.compile(pattern)
    for string in strings:
        for match in compiled.finditer(string):
            yield from match.groups("") if compiled.groups else (match[0],)


# Searching: Lexbor finds elements; pseudo-elements, groups and the limits of an element are ours.

_SCOPE = "data-scraper-scope"  # marks the element that a search must not leave, for as long as it takes
_IN_SCOPE = f":is([{_SCOPE}], [{_SCOPE}] *)"


@dataclass(frozen=True, slots=True)
class _Query:
    selector: str
    css: str  # for a whole page
    css_in_element: str  # for an element marked with _SCOPE, if that makes a difference
    kind: Kind
    attribute: str
    is_group: bool


def _search(root: Root, query: _Query, search: Callable[[str], Found]) -> Found:
    """Run Lexbor's `search`, which by itself finds `section p` in a `div` that the section is outside of."""
    if not isinstance(root, LexborNode) or query.css_in_element == query.css:
        return search(query.css)
    attributes = root.attrs
    attributes[_SCOPE] = ""
    try:
        return search(query.css_in_element)
    finally:
        del attributes[_SCOPE]


def _find(root: Root, query: _Query) -> list[Any]:
    nodes = _search(root, query, root.css)
    if query.is_group:  # Lexbor lists an element once for each part that it matches
        nodes = list({node.mem_id: node for node in nodes}.values())
    if query.kind == "element":
        return nodes
    if query.kind == "attribute":
        values = [node.attributes.get(query.attribute, False) for node in nodes]  # None is an attribute, too
        return [value or "" for value in values if value is not False]
    return _texts(nodes, deep=query.kind == "all text")


def _first_string(node: LexborNode, query: _Query) -> str | None:
    """What comes first, where the first match is enough to tell."""
    if query.kind == "element":
        return node.html
    if query.kind == "attribute":
        return node.attributes.get(query.attribute)
    child = node.first_child
    return None if child is None else child.text_content


def _texts(nodes: list[LexborNode], deep: bool) -> list[str]:
    """The texts directly in the nodes, or anywhere in them, in the order of the page."""
    texts: list[str] = []
    parents: set[int] = set()
    passed: set[int] = set()  # a node may hold others of the nodes
    for node in nodes:
        child = node.first_child
        if child is None or (passed and node.mem_id in passed):
            continue
        if child.next is None and (text := child.text_content) is not None:  # mostly it is one text
            texts.append(text)
            continue
        parents = parents or {each.mem_id for each in nodes}
        for part in node.traverse(include_text=True):
            if (text := part.text_content) is None:
                passed.add(part.mem_id)
            elif deep or ((parent := part.parent) is not None and parent.mem_id in parents):
                texts.append(text)
    return texts


# Reading: a selector becomes chains of compound, combinator, compound; these are put together for Lexbor.

_BLANK_PAGE = LexborHTMLParser("")
_STRING_OR_ESCAPE = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\."""
_COMMENT = re.compile(rf"({_STRING_OR_ESCAPE})|/\*.*?\*/", re.DOTALL)
_LEXEME = re.compile(
    rf"{_STRING_OR_ESCAPE}|(?P<open>[(\[])|(?P<close>[)\]])|\s*(?P<comma>,)\s*|(?P<combinator>\s*[>+~]\s*|\s+)|.",
    re.DOTALL,
)
_PSEUDO_ELEMENT = re.compile(
    r"""(?P<compound>.*)::(?:text|attr\(\s*(?P<quote>["']?)(?P<name>(?:[-\w]|\\.)+)(?P=quote)\s*\))""",
    re.DOTALL | re.IGNORECASE,
)


@lru_cache(maxsize=2048)
def _read(selector: str) -> _Query:
    """Read a selector. A wrong one is an error here, where it is written, not where it is used."""
    parts = [_without_pseudo_element(chain) for chain in _chains(selector)]
    if len({pseudo for _, pseudo in parts}) > 1:
        raise SelectorError(f"The parts of {selector!r} end in different pseudo-elements: select each alone.")
    pseudo = parts[0][1]
    chains = [chain for chain, _ in parts]
    if pseudo == "text" and len(chains) == 1 and _is_deep(chains[0]):
        return _query(selector, "all text", [chains[0][:-2]])
    if pseudo:
        chains = [longer for chain in chains for longer in _spelled_out(chain)]
    if pseudo.startswith("@"):
        return _query(selector, "attribute", chains, pseudo[1:])
    return _query(selector, "text" if pseudo else "element", chains)


def _query(selector: str, kind: Kind, chains: list[list[str]], attribute: str = "") -> _Query:
    if attribute.replace("-", "_").isidentifier():  # a search for the first finds the first that has it
        chains = [[*chain[:-1], f"{chain[-1]}[{attribute}]"] for chain in chains]
    if chains == [[]]:
        return _Query(selector, ":root", f"[{_SCOPE}]", kind, attribute, is_group=False)
    css = ", ".join(map("".join, chains))
    try:
        _BLANK_PAGE.css(css)
    except (SelectolaxError, UnicodeEncodeError):
        raise SelectorError(
            f"{selector!r} is not a selector. ::text and ::attr(name) stand at the end."
        ) from None
    scoped = ", ".join("".join([chain[0], _IN_SCOPE, *chain[1:]]) for chain in chains)
    is_complex = any(len(chain) > 1 for chain in chains)
    return _Query(selector, css, scoped if is_complex else css, kind, attribute, is_group=len(chains) > 1)


def _chains(selector: str) -> list[list[str]]:
    """The parts between the commas, each as `["ul", " > ", "li"]`."""
    chains = [[""]]
    depth = 0
    for lexeme in _LEXEME.finditer(_COMMENT.sub(r"\1", selector).strip()):
        depth += {"open": 1, "close": -1}.get(lexeme.lastgroup or "", 0)
        if depth == 0 and lexeme.lastgroup == "comma":
            chains.append([""])
        elif depth == 0 and lexeme.lastgroup == "combinator":
            chains[-1] += [lexeme[0], ""]
        else:
            chains[-1][-1] += lexeme[0]
    if depth:  # CSS closes what is left open; in a selector it is a slip
        raise SelectorError(f"The brackets of {selector!r} don't match.")
    return chains


def _without_pseudo_element(chain: list[str]) -> tuple[list[str], str]:
    """The chain without its `::text` or `::attr(name)`, and which it was: `text` or `@name`."""
    found = _PSEUDO_ELEMENT.fullmatch(chain[-1])
    if found is None:
        return chain, ""
    name = found["name"]
    return [*chain[:-1], found["compound"]], "text" if name is None else "@" + name.replace("\\", "")


def _is_deep(chain: list[str]) -> bool:
    """Whether the pseudo-element is about an element and all in it: `h1 ::text`, as Scrapy `h1 *::text`."""
    return chain[-1] in ("", "*") and (len(chain) == 1 or chain[-2].isspace())


def _spelled_out(chain: list[str]) -> list[list[str]]:
    """`h1 ::text` is about `h1` and `h1 *`; `h1 > ::text` about `h1 > *`."""
    full = [*chain[:-1], chain[-1] or "*"]
    return [chain[:-2], full] if _is_deep(chain) and len(chain) > 1 else [full]
