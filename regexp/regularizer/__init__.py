"""Techniques, one a file, reached by `_target_` alone.

`base` is the extension point, `cocktail.Cocktail` several techniques at once, `common` what
techniques share.
"""
