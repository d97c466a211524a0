"""Recorded runs made again and held against the first; two recorded runs compared.

`session.rerun` and `session.diff` are for the commands; `archive` packs sweeps and unpacks them.
"""
