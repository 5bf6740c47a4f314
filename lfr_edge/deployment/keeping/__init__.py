"""What is kept, for how long, on whose word, and how it goes."""
