"""What Twilio reports: attempts, events, factors, and the state of the Verify Service."""
