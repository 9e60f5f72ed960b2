"""Jobs: what a worker is asked to crawl, when, and what became of it."""
