"""The only modules that look at the machine. A probe that fails stores its reason and never raises."""
