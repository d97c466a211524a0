"""From checked jobs to recorded runs: planned once, trained as stacks, resumed where they broke.

`execute.execute` runs a whole sweep; `plan.plan` gives the runs of a job, `job.train` trains them.
"""
