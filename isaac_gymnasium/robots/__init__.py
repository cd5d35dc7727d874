"""Robots as plain data, one module each."""
