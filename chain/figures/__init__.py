"""The paper's figures; each is a pure function of arrays or tables."""
