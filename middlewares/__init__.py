"""This project's middlewares: layers around every request and its response."""
