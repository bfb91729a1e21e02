"""From layers and networks to programs of descriptors, and the golden machine that runs them."""
