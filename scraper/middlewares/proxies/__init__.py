"""Proxies: which way a request goes, how each proxy fares, and what nobody may read of them."""
