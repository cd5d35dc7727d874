"""The points of the contract, one function each.

A function's name is the point's, the first line of its docstring what it requires. It returns if
the environment keeps the point and raises `Failed` or `NotApplicable` otherwise; anything else that
it raises is the environment's failure.
"""
