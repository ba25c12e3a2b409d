"""Tests of recorded steps."""
