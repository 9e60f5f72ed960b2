"""Clients: libraries that put one request on the wire, behind one contract."""
