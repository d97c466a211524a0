"""Controlled experiments on how to regularize a neural network."""

__version__ = "0.1.0"
