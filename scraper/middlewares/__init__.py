"""The built-in layers of the onion around the wire; a project's own live in its `middlewares/`."""
