"""What a client's library can't do: cases of the contract that it fails, each with the reason.

A case is a test's name, or with brackets one of its parameters as pytest shows them, without loop and client:
`test_a_fault_of_the_site_has_its_name[/bad-chunk-ProtocolViolation]`; or a whole row of the matrix: `http2`. A case
that passes after all fails the run.
"""

CANNOT: dict[tuple[str, str], str] = {
    ("aiohttp", "http2"): "aiohttp speaks HTTP/1.1 only.",
    ("requests", "http2"): "requests speaks HTTP/1.1 only.",
    **{
        (
            client,
            "sockets",
        ): "WebSockets go through aiohttp, whichever client the rest of a crawl goes through."
        for client in ("httpx", "curl_cffi", "wreq", "requests")
    },
    ("aiohttp", "impersonation"): "aiohttp, httpx and requests greet as Python does.",
    ("httpx", "impersonation"): "aiohttp, httpx and requests greet as Python does.",
    ("requests", "impersonation"): "aiohttp, httpx and requests greet as Python does.",
    ("wreq", "test_an_exchange_that_breaks_off_is_alone_in_that"): (
        "After an exchange that the site resets, the next one takes another connection; those that run go on."
    ),
    ("wreq", "test_a_socks4_proxy_is_told_who_asks"): (
        "wreq tells a SOCKS4 proxy no user, and says so instead of asking without one."
    ),
}
