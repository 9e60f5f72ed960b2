"""This project's spiders: each file holds one; `scrape list` shows them."""
