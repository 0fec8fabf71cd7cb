"""The checks; the tree mirrors the packages. A package, so that `python -m tests.campaigns.faults` finds this one."""
