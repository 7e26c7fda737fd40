"""From a proposal, taken as hostile, to a branch and one draft request: no model, no engine, no code run."""
