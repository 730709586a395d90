"""An independent check of every answer: ldapsearch, plain Python, and no code of ldapdb.

``making`` writes a random directory, ``entries`` reads it back with ``ldapsearch``, ``rights``
computes who may start what from the documented rules, and ``comparing`` asks ldapdb the same
questions, in a process of its own (``driver``).
"""
