"""`python -m libmalti`: looks at an installation."""

from __future__ import annotations

import argparse
import sys

from . import _check


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m libmalti", description=__doc__)
    commands = parser.add_subparsers(title="commands", dest="command")
    commands.add_parser(
        "check",
        help="version, library, settings, and whether malti_telemetry is ours",
        description="Prints what an application would run with. Exit status 1: it would not work.",
    )
    commands.add_parser("help", help="this text")
    if parser.parse_args().command != "check":
        parser.print_help()
        return 0
    return _check.main()


if __name__ == "__main__":
    sys.exit(main())
