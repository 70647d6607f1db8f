"""`python -m host_tools` is the `chassis` command."""

from host_tools.cli import main

main()
