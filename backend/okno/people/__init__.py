"""People: the local index of employees, its search, and the stitched employee."""
