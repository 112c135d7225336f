"""The security stage: code, dependencies, images, secrets, and abuse of what runs."""
