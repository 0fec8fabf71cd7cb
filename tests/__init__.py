"""The checks; the tree mirrors the packages. A package, so that `python -m tests.faults` finds this one."""
