"""One thin function per endpoint: it reads the request's members and calls the rule."""
