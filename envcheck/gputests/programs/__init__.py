"""What runs in the child processes of `envcheck gpu`. Needs nothing newer than Python 3.9, which PyTorch may run on."""
