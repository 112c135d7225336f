"""Steps that prove that somebody would be told."""
