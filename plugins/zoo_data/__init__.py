"""Built-in data sets, one a file, and the user's own images, audio clips and text."""
