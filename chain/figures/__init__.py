"""The paper's figures and tables, each a pure function of arrays or tables."""
