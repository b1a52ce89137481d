"""The program: nothing but composition."""
