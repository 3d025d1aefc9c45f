"""What becomes of runs: those that are lost fail, and a failure is an alert until the job succeeds."""
