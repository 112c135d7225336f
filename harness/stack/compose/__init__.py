"""A user's own compose file as a system under test: `stack.ComposeStack`. Their file is read, never written."""
