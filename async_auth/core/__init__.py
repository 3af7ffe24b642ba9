"""Decisions: pure, no async, no clock, no randomness."""
