"""Code objects and templates of the event-driven and graded projections, and the tables that they read."""
