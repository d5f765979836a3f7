"""The one place from which anything destructive is sent."""
