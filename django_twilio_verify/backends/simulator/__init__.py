"""Twilio Verify's behavior in memory, behind the console and locmem backends and the loopback server."""
