"""A site that speaks HTTP/3: every path is a small page."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from tests.clients.servers import HOST


@dataclass
class Http3Site:
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def listening(self, certificate: Path, key: Path) -> AsyncIterator[int]:
        """Its port, of UDP."""
        configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
        configuration.load_cert_chain(certificate, key)
        server = await serve(HOST, 0, configuration=configuration, create_protocol=self._protocol)
        try:
            yield server._transport.get_extra_info("sockname")[1]
        finally:
            server.close()

    def _protocol(self, *args, **options) -> "Conversation":
        return Conversation(self, *args, **options)


class Conversation(QuicConnectionProtocol):
    def __init__(self, site: Http3Site, *args, **options) -> None:
        super().__init__(*args, **options)
        self._site = site
        self._http = H3Connection(self._quic)

    def quic_event_received(self, event: QuicEvent) -> None:
        for said in self._http.handle_event(event):
            if isinstance(said, HeadersReceived):
                path = dict(said.headers)[b":path"].decode()
                self._site.asked.append(path)
                self._http.send_headers(said.stream_id, [(b":status", b"200")])
                self._http.send_data(said.stream_id, f"<h1>{path}</h1>".encode(), end_stream=True)
                self.transmit()
