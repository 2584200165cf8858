"""Programs that run in child processes, because what they load may abort or hang. Self-contained, Python >= 3.8."""
