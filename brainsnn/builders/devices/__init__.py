"""Build a network and run its trials, on each of Brian2's devices."""
