"""Proxies: how they are written, what they answer, and real ones."""
