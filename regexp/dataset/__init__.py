"""Datasets, one a file: read, split by the run's seed, preprocessed by what training rows tell."""
