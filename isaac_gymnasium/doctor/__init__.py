"""What is installed, which engines can run, and whether Isaac Sim is as its adapter expects."""
