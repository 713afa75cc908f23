"""The words of a command line, what is printed, and the signals that end a command."""
