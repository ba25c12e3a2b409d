"""The networks on images, written idiomatically in each framework."""
