"""Adapters to reinforcement-learning libraries, one library a module.

A library is imported by its own module alone, so this package imports without any of them.
"""
