"""What users do with a Hub; each function is one scenario, played with the real clients."""
