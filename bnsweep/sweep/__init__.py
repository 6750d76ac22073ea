"""Many runs: planned, launched, resumed, interrupted, reported."""
