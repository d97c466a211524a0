"""From words to checked configurations: the schema, all of Hydra, the grammar of searches.

`jobs.compose` gives the jobs of a command; `values` reads a configuration; `nodes` builds what
`_target_` names. Imports neither torch nor MLflow with it, so that help and completion are quick.
"""
