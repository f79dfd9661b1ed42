"""What the template, the layer and the locks must be for the platform to take them."""
