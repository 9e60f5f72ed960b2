"""Proofs that a worker loses nothing, whoever is killed, stopped or badly treated, and whenever."""
