"""What other systems are told: webhooks, the event stream, metrics."""
