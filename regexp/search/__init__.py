"""The search for a recipe: which techniques together, with which numbers, and what it is worth.

It says which runs are made next; how they are planned, trained and compared is other rooms'.
"""
