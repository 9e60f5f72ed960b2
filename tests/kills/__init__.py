"""The proof that a crawl may be killed at any moment: what it brings in the end is what it brings undisturbed."""
