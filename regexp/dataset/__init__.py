"""Datasets, one a file: read, split by the seed of the run, preprocessed by training rows alone.

`base.Dataset` is to be subclassed and `data.Data` to be used; the rest is reached by `_target_`.
"""
