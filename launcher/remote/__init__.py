"""An engine on another machine, reached by ssh: its socket, its ports and its paths."""
