"""Signing in with a wallet's key, without a wallet: the messages, the signatures, test wallets."""
