"""Recorded steps: programs of array operations."""
