"""A generated demo company and simulators of the systems it keeps its people in; FORMATS.md says what they speak."""
