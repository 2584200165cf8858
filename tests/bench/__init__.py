"""How fast things are, as ratios against a baseline of the same run: `python -m tests.bench`. Nothing here can fail."""
