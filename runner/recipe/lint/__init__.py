"""What is wrong with recipes: all problems of all files at once, a small function for each rule."""
