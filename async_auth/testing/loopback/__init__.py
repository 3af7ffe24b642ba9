"""What every embedded server has: a port of loopback, counters and faults; no protocol."""
