"""cocotb test modules, one per device under test; launched by tests/benches."""
