"""
What depends on the operating system, each with a fallback that every system has; no other room asks which system it is.

``BRAINSNN_PORTABLE=1`` in the environment forces all fallbacks: see `~brainsnn.system.fallbacks` and ``docs/systems.md``.
"""
