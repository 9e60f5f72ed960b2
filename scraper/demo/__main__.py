"""Serves a demo site until Ctrl-C: `python -m scraper.demo bookshop`."""

import argparse
import asyncio
import sys

from scraper.demo import bookshop, quotes
from scraper.demo.server import PORT_KEY

SITES = {"bookshop": bookshop, "quotes": quotes}
MAX_PORT = 65535


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scraper.demo", description=__doc__)
    parser.add_argument("site", choices=SITES)
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="default: a free one")
    options = parser.parse_args()
    try:
        asyncio.run(_serve(options.site, options.port))
    except OSError as error:  # PortTaken, or a port that only root may open
        parser.error(str(error))
    except KeyboardInterrupt:
        pass


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"A port is a number from 0 to {MAX_PORT}, not {text!r}.")
    return int(text)


async def _serve(site: str, port: int) -> None:
    async with SITES[site]({PORT_KEY: port}) as url:
        sys.stdout.write(f"{site}: {url} (Ctrl-C stops it)\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
