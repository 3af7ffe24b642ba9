"""How the words look where HTML is shown: what a notebook displays of sessions, and no secret."""
