"""The host of a board: programs run on an accelerator at the other end of a serial line."""
