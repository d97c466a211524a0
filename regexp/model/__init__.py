"""Networks, one family a file, and the layers whose slots techniques fill.

`layers` and `recurrent` are for networks of users as well; the rest is reached by `_target_`.
"""
