"""The networks on images, in each framework as its users write them."""
