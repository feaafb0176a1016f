"""`python -m hf_turkembed`, which is the command `hf-turkembed`."""

from hf_turkembed.cli import main

main()
