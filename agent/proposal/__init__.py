"""A proposal: what a run leaves for another job, which has neither a model nor an engine, to check and to publish."""
