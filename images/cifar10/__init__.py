"""CIFAR-10 trainer: `python -m cifar10 train|eval|predict`. Read loop.py first, then train.py."""
