"""The accelerator on a board: block RAM as its memory, and a bridge that serves a host over a UART."""
