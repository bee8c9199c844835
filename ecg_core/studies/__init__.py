"""Studies that last: each recording that was opened, what was found in it, and what readers did with it.

A study is known by the SHA-256 of its recording. ``store`` opens the database and the folder beside it; the other
modules read and change one part of a study each. Every change is one transaction, made by an ``Editor`` who holds the
study, and leaves an entry in its audit trail.
"""
