"""A plugin that knows zoo only by what ``import zoo`` offers."""
