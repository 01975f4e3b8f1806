"""Redoes work: raw records, failed attachments, and quarantined records after a fix."""
