"""The front-end half of SuperTokens: a session of somebody's application, kept alive."""
