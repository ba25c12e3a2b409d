"""Recurrent networks and transformers, written idiomatically in each framework."""
