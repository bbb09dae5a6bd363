"""`chain serve`: a page on this machine to search a collection, watch matches and judge copies."""
