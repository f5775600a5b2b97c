"""What a plugin declares, as values: specs, recipes, metrics, plans of generation. Needs neither torch nor numpy."""
