"""The parts of `GoTrueServer`: rules that know no HTTP, and the HTTP that knows no rule."""
