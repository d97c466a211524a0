"""Worlds in which it is known which verdicts are false.

A world draws sweeps. In none of them is a technique better than the baseline on average: over
other tables of the same kind, or over other splits and weights on the very table as well.
"""
