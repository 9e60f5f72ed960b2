"""This project's pipelines: what happens to an item between the page and the file."""
