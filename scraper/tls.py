"""TLS: what a connection is verified against, as `[tls]` in settings.toml says."""

from __future__ import annotations

import ssl

from scraper.errors import SettingsError
from scraper.settings import Settings, TlsSettings

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def context(settings: TlsSettings, *, verify: bool = True) -> ssl.SSLContext:
    """For a client that takes Python's own. Raises SettingsError where a file can't be used."""
    made = ssl.create_default_context()
    made.minimum_version = VERSIONS[settings.minimum]
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    try:
        if settings.ca_file is not None:
            made.load_verify_locations(settings.ca_file)
        if settings.certificate is not None:
            made.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        which = "tls.ca_file" if settings.certificate is None else "tls.certificate or tls.key"
        raise SettingsError(f"{which} can't be used: {error}.") from error
    return made


def unverified_hosts(settings: Settings) -> frozenset[str]:
    """Those that `[hosts."…"] verify = false` names, as host or host:port."""
    return frozenset(name.lower() for name, own in settings.hosts.items() if own.verify is False)
