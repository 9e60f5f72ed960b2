"""Who gets to see a secret, by the bytes that arrive: on every client, over real sockets and TLS."""

import hashlib
import re
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
import trustme

from scraper import Request, Spider
from scraper.layers import Layer
from scraper.parts import CLIENTS
from scraper.project import Project
from scraper.testing import Crawl, crawl
from tests.faulty.message import Answer
from tests.faulty.message import Request as Asked
from tests.sessions.place import Place, to

SECRET = "letmein"
IN_BASE64 = b64encode(f"anna:{SECRET}".encode()).decode()


@pytest.fixture(params=list(CLIENTS))
def client(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority, tmp_path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


class Asks(Spider):
    """Each of `requests`, as it is given."""

    name = "asks"

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    async def start(self):
        for request in self.requests:
            yield request

    def parse(self, response):
        yield {"url": response.url, "status": response.status}


async def asked(root: Path, *requests: Request, **settings) -> Crawl:
    spider = Asks()
    spider.requests = list(requests)
    return await crawl(spider, root=root, settings={"max_failed": 1, **settings})


def secrets(url: str) -> list[Request]:
    """Every way in which a request may hold one."""
    return [
        Request(url + "?1", auth=("anna", SECRET)),
        Request(url + "?2", auth={"bearer": SECRET}),
        Request(url + "?3", auth={"digest": ("anna", SECRET)}),
        Request(url + "?4", headers={"authorization": SECRET}),
        Request(url + "?5", headers={"Cookie": f"key={SECRET}"}),
        Request(url + "?6", headers={"Proxy-Authorization": SECRET}),
        Request(url.replace("://", f"://anna:{SECRET}@") + "?7"),
        Request(url + "?8"),  # [auth] in the settings, and what the site itself has set
    ]


def hands_on(location: str):
    """A redirect, with a cookie of its own."""

    def answer(request: Asked) -> Answer:
        cookie = ("Set-Cookie", f"own={SECRET}; Secure; Path=/")
        return Answer(status=302, headers=(("Location", location), cookie))

    return answer


@pytest.mark.parametrize("there", ["https://localhost", "http://127.0.0.1", "http://localhost"])
async def test_no_secret_follows_a_redirect_to_another_origin(client, there, tls, ca_file, tmp_path):
    scheme, name = there.split("://")
    async with Place.open(tls=tls) as here, Place.open(name, tls if scheme == "https" else None) as other:
        here.pages["/start"] = hands_on(f"{other.url}/there")
        requests = secrets(f"{here.url}/start")
        done = await asked(
            tmp_path,
            *requests,
            client=client,
            tls={"ca_file": str(ca_file)},
            auth={here.url: {"basic": ["anna", SECRET]}},
        )
    assert done.failed == {}
    assert len(other.asked) == len(requests) + 1  # and its robots.txt
    for head in other.heads:
        assert SECRET not in head
        assert IN_BASE64 not in head
    arrived = {name.lower() for request in other.asked for name in request.headers}
    assert not {"authorization", "cookie", "proxy-authorization", "referer"} & arrived


async def test_within_its_origin_a_secret_follows(client, tls, ca_file, tmp_path):
    async with Place.open(tls=tls) as here:
        here.pages["/start"] = to("/there")
        await asked(
            tmp_path,
            *secrets(f"{here.url}/start"),
            client=client,
            tls={"ca_file": str(ca_file)},
            auth={here.url: {"bearer": SECRET}},
            obey_robots=False,
        )
    there = [request for request in here.asked if request.path == "/there"]
    assert sorted(request.headers.get("Authorization", "") for request in there) == sorted(
        [f"Basic {IN_BASE64}"] * 2 + [f"Bearer {SECRET}"] * 4 + [SECRET] + [""] * (len(there) - 7)
    )


async def test_a_user_in_a_url_is_sent_as_a_header_by_every_client(client, tmp_path):
    async with Place.open() as here:
        url = here.url.replace("://", f"://anna:{SECRET}@")
        done = await asked(tmp_path, Request(f"{url}/a?b=c"), client=client, obey_robots=False)
    [request] = here.asked
    assert (request.target, request.headers["Authorization"]) == ("/a?b=c", f"Basic {IN_BASE64}")
    assert done.items == [{"url": f"{url}/a?b=c", "status": 200}]


async def test_a_password_in_a_url_is_in_no_line_of_the_log(client, tmp_path):
    async with Place.open() as here:
        here.pages["/gone"] = lambda request: Answer(status=404)
        url = here.url.replace("://", f"://anna:{SECRET}@")
        done = await asked(
            tmp_path, Request(f"{url}/gone"), Request(f"{url}/loop"), client=client, log_level="debug"
        )
    assert done.failed == {"status 404": 1}
    assert SECRET not in str(done.log)


async def test_what_the_settings_say_of_auth_is_in_no_file_of_the_run(tmp_path):
    async with Place.open() as here:
        done = await asked(
            tmp_path,
            Request(f"{here.url}/a"),
            auth={here.url: {"basic": ["anna", SECRET]}},
            obey_robots=False,
        )
    assert here.asked[0].headers["Authorization"] == f"Basic {IN_BASE64}"
    files = [file for file in done.result.folder.rglob("*") if file.is_file()]
    assert "run.json" in {file.name for file in files}
    assert [
        file.name for file in files if SECRET.encode() in file.read_bytes() or b"anna" in file.read_bytes()
    ] == []


def test_a_resume_reads_auth_from_the_environment_again(monkeypatch, tmp_path):
    monkeypatch.setenv("SCRAPER_AUTH", '{"https://shop.example" = {bearer = "abc"}}')
    loaded = Project(tmp_path).settings(stored=Layer("run club", {"concurrency": 5}))
    assert "https://shop.example" in loaded.settings.auth


# ── digest ───────────────────────────────────────────────────────────────────────────────────────────────


class Vault:
    """A page that wants a digest (RFC 7616). Every nonce is good for two requests."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.uses = 0

    def __call__(self, asked: Asked) -> Answer:
        proof = asked.headers.get("Authorization", "")
        said = {
            name: quoted or plain
            for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', proof)
        }
        if said.get("nonce") == self.nonce and self._proven(said, asked):
            self.uses += 1
            return Answer(body=b"<h1>Gold</h1>")
        challenge = f'Digest realm="vault", nonce="{self.nonce}", qop="auth", algorithm={self.algorithm}'
        return Answer(status=401, headers=(("WWW-Authenticate", challenge),))

    @property
    def nonce(self) -> str:
        return f"nonce-{self.uses // 2}"

    def _proven(self, said: dict[str, str], asked: Asked) -> bool:
        def hashed(text: str) -> str:
            return hashlib.new(self.algorithm.replace("-", ""), text.encode()).hexdigest()

        secret, action = hashed(f"anna:vault:{SECRET}"), hashed(f"{asked.method}:{asked.target}")
        whole = hashed(f"{secret}:{self.nonce}:{said['nc']}:{said['cnonce']}:auth:{action}")
        return said["response"] == whole and said["uri"] == asked.target


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_digest_opens_what_wants_one_whatever_the_client(client, algorithm, tmp_path):
    async with Place.open() as here:
        here.pages["/vault"] = Vault(algorithm)
        requests = [
            Request(f"{here.url}/vault?n={n}&q=a%20b", auth={"digest": ("anna", SECRET)}) for n in range(5)
        ]
        done = await asked(tmp_path, *requests, client=client, obey_robots=False, seats=1)
    assert [item["status"] for item in done.items] == [200] * 5
    assert len(here.asked) == 5 + 3  # one more for the first, and for each nonce that has run out
    assert SECRET not in "".join(here.heads)


async def test_a_wrong_password_is_a_401_like_any_other(client, tmp_path):
    async with Place.open() as here:
        here.pages["/vault"] = Vault("MD5")
        request = Request(f"{here.url}/vault", auth={"digest": ("anna", "wrong")})
        done = await asked(tmp_path, request, client=client, obey_robots=False)
    assert done.failed == {"status 401": 1}
    assert len(here.asked) == 2
