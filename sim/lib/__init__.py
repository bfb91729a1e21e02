"""Shared parts of the cocotb benches: clocking, stream drivers and monitors, scoreboards, memory and host models."""
