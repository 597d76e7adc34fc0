"""What an adversary can do, one file an attack; see ``types.Attack`` and ``registry.register``."""
