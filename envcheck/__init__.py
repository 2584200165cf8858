"""Diagnosis of a GPU environment for PyTorch: says what is wrong, why, and the command that fixes it.

Standard library only; never imports torch or docker in this process, never opens a network connection.
"""

__version__ = "0.1.0"
SCHEMA_VERSION = 1
