"""Side-by-side measurements against peers; see `docs/speed.md`."""
