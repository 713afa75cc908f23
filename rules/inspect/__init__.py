"""What the commands that look need: comparing, history, explaining, tracing. Nothing is run."""
