"""`python -m unipan`."""

from unipan.cli import main

main()
