"""Side-by-side measurements against peers; see `docs/losses.md`."""
