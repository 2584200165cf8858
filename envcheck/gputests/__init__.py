"""What really runs on a GPU, with numbers compared. Every program here runs in a child process."""
