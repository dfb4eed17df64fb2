"""Split a bill among friends."""
