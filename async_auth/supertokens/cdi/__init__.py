"""The core driver interface (CDI): what a back end says to a SuperTokens core, and hears."""
