"""`--sync`: the project as a copy in a volume of the environment, and what changed on one side brought to the other."""
