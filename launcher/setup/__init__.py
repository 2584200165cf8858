"""What a machine needs before the first environment can start, and how it is put there."""
