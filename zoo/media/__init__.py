"""Images, audio and text: read, converted to and from a model's arrays, displayed, saved."""
