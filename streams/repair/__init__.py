"""Redoing work: raw records again, failed attachments again, quarantined records after their fix."""
