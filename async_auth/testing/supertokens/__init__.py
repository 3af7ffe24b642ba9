"""What `SuperTokensCoreServer` is made of."""
