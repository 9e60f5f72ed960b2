"""Log: events with fields; lines for a person, JSON for a machine."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


# where it was raised, not what was in the variables: those may hold passwords
TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(*, level: str = "info", json: bool = False, stream: TextIO | None = None) -> None:
    """Everything goes to standard error (`stream`), so that `-o -` leaves standard output to the items."""
    stream = stream or sys.stderr
    tail: list[Any] = [TRACEBACKS] if json else []
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True)
            if json
            else structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            *tail,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    libraries = logging.StreamHandler(stream)
    stamped = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *tail,
    ]
    lines = structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=stamped)
    libraries.setFormatter(lines if json else logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[libraries], force=True)
