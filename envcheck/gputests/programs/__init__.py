"""What runs in the child processes of `envcheck gpu`.

All but kernel.py need nothing newer than Python 3.9: they run in the Python that has PyTorch.
"""
