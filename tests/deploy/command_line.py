"""The command line as it is, for whoever has written it into a file."""

import typer

from scraper.cli import app


def options_of(typed: str) -> dict[str, object]:
    """The options of a command and their defaults."""
    command = typer.main.get_command(app)
    for name in typed.split():
        command = command.commands[name]  # type: ignore[attr-defined]  # a group
    return {option: one.default for one in command.params for option in one.opts if option.startswith("-")}
