"""Faults: a crawl that dies at any step, a disk that forgets what was not synced, storage that fails."""
