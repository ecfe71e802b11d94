"""`python -m gatewise.cli`: the same as the command `gatewise`."""

from gatewise.cli.app import main

if __name__ == "__main__":
    main()
