"""Recurrent networks and transformers, in each framework as its users write them."""
