"""Sweeps in a zip file: written for other persons, read without belief in what they say.

`archive.write_archive` and `archive.read_archive` are for the commands; the rest serves these two.
"""
