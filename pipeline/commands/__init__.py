"""Groups of commands below `wseg`."""
