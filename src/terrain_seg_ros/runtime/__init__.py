"""What every live caller shares: session, slot, gate, watchdog, health."""
