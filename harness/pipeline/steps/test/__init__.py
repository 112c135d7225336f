"""What is tried before anything is deployed."""
