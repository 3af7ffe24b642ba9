"""The back-end half of SuperTokens: sessions of incoming requests. Pure inside, thin outside."""
