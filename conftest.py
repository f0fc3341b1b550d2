"""What the tests of both distributions share: one profile of Hypothesis without a clock.

How long an example takes, or its drawing, tells how busy the machine is and nothing of the code.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
