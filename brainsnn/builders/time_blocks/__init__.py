"""Which parts of a network may run several steps before the next part: from what the code of each object reads and writes."""
