"""Adapters: one module or package for each third-party library, named after it.

Each imports its library at the top and nothing here imports an adapter, so an adapter costs only
those who use it.
"""
