"""Homework on backpropagation: tasks with blanks to fill, a check that names each mistake, and grades.

It is used from the command line: `python -m course new`, `blank` and `grade`; docs/course.md plays all of it through.
It stands on the packages `nn`, `optim` and `data`, and none of them imports it.
"""
