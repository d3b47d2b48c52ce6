"""The campaigns that look for faults: what is tried, and what must hold."""
