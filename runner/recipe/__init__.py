"""What a recipe says: its model, where recipes are found, their parameters, their programs."""
