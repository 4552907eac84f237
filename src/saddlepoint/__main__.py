"""``python -m saddlepoint`` is the command line."""

from saddlepoint.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
