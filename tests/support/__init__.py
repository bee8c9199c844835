"""What several test modules share: records, files, and stand-ins for what is slow or far away."""
