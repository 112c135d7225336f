"""What the security stage looks into: advisories, secrets, images, and what a running gateway lets pass."""
