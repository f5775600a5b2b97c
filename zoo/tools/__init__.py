"""Commands about the installation: the demo and the doctor."""
