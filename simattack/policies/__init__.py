"""Who drives, one file a policy and its parts; see ``types.Policy``."""
