"""Makes the tables and pictures of docs/area-timing-energy.md."""
