"""Sinks: the files and streams that items are appended to, as the crawl goes."""
