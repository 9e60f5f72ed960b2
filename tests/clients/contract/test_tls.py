"""Verifies certificates."""

import asyncio
import os
import ssl
import sys
from pathlib import Path

import pytest
import trustme

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    listening,
    say_hello,
    talk_plainly,
)


async def test_a_certificate_that_nobody_vouches_for(browser: Browser, tls: ssl.SSLContext):
    async with listening(say_hello, tls=tls) as port:
        error = await browser.fails(f"https://{HOST}:{port}/")
    assert isinstance(error, errors.TLSFailed)
    assert not error.retryable


async def test_a_site_that_does_not_speak_tls(browser: Browser):
    async with listening(talk_plainly) as port:
        assert isinstance(await browser.fails(f"https://{HOST}:{port}/"), errors.TLSFailed)


FETCH_ONCE = """
import asyncio, sys
from scraper.parts import CLIENTS, build
from scraper.request import Request
from scraper.settings import Settings

async def main(name, url):
    async with build(name, Settings(), CLIENTS, "client") as client:
        incoming = await client.open(Request(url))
        print(incoming.status)
        await incoming.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_certificate_that_the_system_trusts(
    name: str, authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
):
    """In a process of its own: who is trusted is read when the library is imported."""
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    async with listening(say_hello, tls=tls) as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FETCH_ONCE, name, f"https://{HOST}:{port}/"),
            env={**os.environ, "SSL_CERT_FILE": str(trusted)},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    assert said == b"200\n"
