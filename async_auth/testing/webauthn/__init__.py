"""WebAuthn without a browser: an authenticator in software, and the relying party's checks."""
