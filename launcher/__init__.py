"""Start, reach and look after containerized PyTorch environments with the GPU passed through."""

__version__ = "0.1.0"
