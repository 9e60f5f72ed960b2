"""What `scrape bench` measures: every installed client through the whole downloader, each in a process of its own."""
