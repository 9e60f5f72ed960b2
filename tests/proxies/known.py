"""What is known to be wrong in a client, until it is put right: (client, test, software) → one sentence."""

KNOWN = {
    ("curl_cffi", "test_a_proxy_that_only_refuses_one_site_does_not_rest", "tiny_proxy socks5"): (
        "curl takes a refusal of less than ten bytes for a proxy that hung up."
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
