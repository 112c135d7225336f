"""Steps that roll a version out."""
