"""What is known to be wrong in a client, until it is put right: (client, test, software) → one sentence."""

ANY = ""

KNOWN = {
    ("curl_cffi", "test_a_proxy_that_only_refuses_one_site_does_not_rest", "tiny_proxy socks5"): (
        "curl takes a refusal of less than ten bytes for a proxy that hung up."
    ),
    ("wreq", "test_what_is_kept_open_has_a_bound", ANY): (
        "Each client of its own has a pair of sockets for its event loop, beside the connections."
    ),
}


def known(test: str, client: str, kind: str) -> str | None:
    """The reason to expect a failure. `kind`: software and scheme."""
    fits = (
        reason
        for (name, case, software), reason in KNOWN.items()
        if (name, case) == (client, test) and kind.startswith(software)
    )
    return next(fits, None)
