"""Recorded experiments, one a claim: `make experiment NAME=context` runs `experiments/context.py`."""
