"""What is built, of what it is made, and where it goes."""
