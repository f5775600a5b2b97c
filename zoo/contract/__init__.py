"""What a plugin declares: specs, recipes, metrics and generation. Needs neither torch nor numpy."""
