"""The tests: one file per module; the local sites that they talk to live in packages beside them."""
