"""Is it accurate, how sure are we, and for whom? Only the command line uses this room."""
