"""A simulated board: the compiled board system behind a pseudo-terminal."""
