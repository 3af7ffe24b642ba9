"""The shell: the only place that owns tasks."""
