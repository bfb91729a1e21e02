"""Energy of an accelerator on a real evaluation of the network: see docs/energy.md."""
