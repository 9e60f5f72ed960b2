"""The worker: takes jobs, runs each crawl in a process of its own, and can be watched while it does."""
